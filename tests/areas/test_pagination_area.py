"""Pagination: each requirement is failed by its fault, honest lists fail none, every unit is judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from areas.harness import failed, judged, tell
from conformance.checks.registry import Context, Undecided, get_check, known_checks
from conformance.contract import Contract, load_contract, validators
from conformance.contract.requirements import Requirements, load_requirements
from conformance.contract.resources import load_graph
from conformance.exercise.scenarios import scenarios
from conformance.model import Credential, Exchange, Purpose, Request, Response

STORIES = tuple(name for name in scenarios() if name.startswith("pages-of-"))
PRIVATE = ("pages-of-messages", "pages-of-input-items")
# Requirement → its fault, and what else the same bug breaks.
ELSE = {
    "PAG-01": ("list-ignores-limit", {"PAG-06"}),
    "PAG-02": ("list-misnames-ends", set()),
    "PAG-03": ("list-says-no-more", {"RSP-07"}),
    "PAG-04": ("list-ignores-order", {"PAG-08", "RSP-07"}),
    "PAG-05": ("pages-skip-an-item", {"PAG-03"}),
    "PAG-06": ("list-ignores-before", set()),
    "PAG-07": ("bad-limit-gives-nothing", {"NEG-REJECT-01"}),
    "PAG-08": ("ascending-keeps-ties", set()),
    "PAG-09": ("unknown-cursor-starts-over", set()),
    "PAG-10": ("input-items-newest-first", {"RSP-07"}),
    "PAG-11": ("list-is-no-list", {"RESP-BODY-01"}),
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract()


@pytest.fixture(scope="module")
def requirements(contract: Contract) -> Requirements:
    return load_requirements(contract, load_graph(contract))


def test_the_table_names_the_faults_of_the_requirements(requirements: Requirements) -> None:
    """A requirement of the area without a row, or with another fault, must be refused."""
    written = {one.id: one.fault for one in requirements.all if one.area == "pagination-cursor"}
    assert {name: fault for name, (fault, _) in ELSE.items()} == written


@pytest.mark.parametrize("name", ELSE)
def test_a_requirement_is_failed_by_its_fault(name: str, tmp_path: Path) -> None:
    """The fault must fail the requirement, and beside it only what the same bug breaks."""
    fault, others = ELSE[name]
    found = failed(tell(tmp_path, PRIVATE, fault))
    assert name in found
    assert found <= {name, *others}


@pytest.mark.parametrize("fault", ["forgotten-cursor", "list-ignores-cursor"])
def test_a_cursor_that_leads_nowhere_is_noticed(fault: str, tmp_path: Path) -> None:
    """Pages that do not follow one another must fail the walk, in a list of our own and in a shared one."""
    reports = tell(tmp_path, ["pages-of-messages", "pages-of-batches"], fault)
    assert all("PAG-05" in failed([report]) for report in reports)


def test_honest_lists_fail_nothing_and_leave_nothing_unjudged(
    tmp_path: Path, requirements: Requirements
) -> None:
    """No finding at any level, no story broken off, every unit of the area judged."""
    reports = tell(tmp_path, STORIES)
    assert [finding for report in reports for finding in report.findings] == []
    assert [(report.nodeid, report.reason) for report in reports if report.reason] == []
    units = {unit for unit in requirements.universe if unit[0].startswith("PAG-")}
    assert units <= judged(reports)


# predicates on written-out exchanges


class Recorder:
    """Exchanges one after the other, each a second long unless told otherwise."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.exchanges: list[Exchange] = []

    def list(
        self, query: str, ids: list[str], operation: str = "listMessages", *, times: Any = None, **rest: Any
    ) -> Recorder:
        told = rest.pop("told", None)
        status, at = rest.pop("status", 200), rest.pop("at", float(len(self.exchanges) * 2))
        items: list[Any] = [{"id": one, "created_at": (times or {}).get(one, 1)} for one in ids]
        body: Mapping[str, Any] = {"object": "list", "data": items, "has_more": False, **rest}
        facts = {"list": told} if told is not None else {}
        if rest.pop("unknown", None):
            facts["about"] = ["PAG-09"]
        self.exchanges.append(
            Exchange(
                id=str(len(self.exchanges)),
                item="here",
                operation=operation,
                purpose=Purpose.SCENARIO,
                credential=Credential.OWNER,
                request=Request("GET", f"http://gateway/v1/threads/t/messages?{query}", ()),
                started=at,
                ended=at + 1,
                response=Response(status, (("content-type", "application/json"),), json.dumps(body).encode()),
                facts=facts,
            )
        )
        return self

    def outcome(self, name: str) -> list[str]:
        """One word for each ruling: the kinds of its violations, ``undecided`` or ``passes``."""
        words = []
        for _, outcome in get_check(f"pagination.{name}")(self.exchanges, self.context):
            if isinstance(outcome, Undecided):
                words.append("undecided")
            elif outcome is not None:
                words.append(",".join(one.kind for one in outcome) or "passes")
        return words


@pytest.fixture
def recorder(contract: Contract) -> Recorder:
    rules = validators(contract)
    return Recorder(Context(contract, rules, lambda: rules))


@pytest.mark.parametrize(
    ("query", "count", "said"),
    [
        ("limit=2", 2, ["passes"]),
        ("limit=2", 3, ["too-many"]),
        ("", 20, ["passes"]),
        ("", 21, ["too-many"]),
        ("limit=x", 50, []),
        ("limit=1&limit=9", 9, []),
        ("limit=400", 100, []),
    ],
)
def test_how_many_a_page_may_hold(recorder: Recorder, query: str, count: int, said: list[str]) -> None:
    """More than asked for, or than the default, must fail; a limit nobody can obey says nothing."""
    recorder.list(query, [f"m{number}" for number in range(count)])
    assert recorder.outcome("limit_kept") == said


def test_checkpoints_have_a_smaller_default(recorder: Recorder) -> None:
    """Eleven checkpoints without a limit must be refused: their default is ten."""
    recorder.list("", [f"c{number}" for number in range(11)], "listFineTuningJobCheckpoints")
    assert recorder.outcome("limit_kept") == ["too-many"]


@pytest.mark.parametrize(
    ("ends", "ids", "said"),
    [
        ({"first_id": "a", "last_id": "b"}, ["a", "b"], "passes"),
        ({"first_id": "b", "last_id": "a"}, ["a", "b"], "first_id,last_id"),
        ({"first_id": None, "last_id": None}, [], "passes"),
        ({"first_id": "", "last_id": ""}, [], "passes"),
        ({}, ["a"], "passes"),
        ({"first_id": "gone", "last_id": None}, [], "first_id"),
        ({"first_id": 7, "last_id": {}}, ["a"], "first_id,last_id"),
    ],
)
def test_what_a_page_says_of_its_ends(recorder: Recorder, ends: Any, ids: list[str], said: str) -> None:
    """Ends that are not those of the page must fail; null, empty and absent are as good as none."""
    assert recorder.list("", ids, **ends).outcome("ends_named") == [said]


@pytest.mark.parametrize(
    ("query", "times", "said"),
    [
        ("", {"a": 2, "b": 1}, ["passes"]),
        ("", {"a": 1, "b": 2}, ["desc"]),
        ("order=asc", {"a": 1, "b": 2}, ["passes"]),
        ("order=asc", {"a": 2, "b": 1}, ["asc"]),
        ("order=asc", {"a": 1, "b": 1}, ["passes"]),
        ("order=sideways", {"a": 2, "b": 1}, []),
        ("", {"a": "late", "b": None}, []),
        ("", {"a": True, "b": False}, []),
    ],
)
def test_order_by_creation_time(recorder: Recorder, query: str, times: Any, said: list[str]) -> None:
    """The wrong way round must fail; equal times may stand as they like, and no times say nothing."""
    assert recorder.list(query, ["a", "b"], times=times).outcome("ordered") == said


def test_items_added_meanwhile_do_not_belie_has_more(recorder: Recorder) -> None:
    """has_more false, then an item on the next page that was not known before: no finding."""
    told = {"walk": "1", "known": ["a"], "alone": True}
    recorder.list("order=asc&limit=1", ["a"], told=told)
    recorder.list("order=asc&limit=1&after=a", ["new"], told={**told, "known": ["a", "new"]})
    assert recorder.outcome("more_is_true") == ["passes"]


def test_items_that_were_there_belie_has_more(recorder: Recorder) -> None:
    """has_more false, then an item that was known when the page was asked for, must fail."""
    told = {"walk": "1", "known": ["a", "b"], "alone": True}
    recorder.list("limit=1", ["b"], told=told).list("limit=1&after=b", ["a"], told=told)
    assert recorder.outcome("more_is_true") == ["hidden-more"]


def test_overlapping_pages_follow_nothing(recorder: Recorder) -> None:
    """A page that was asked for before the other had come proves nothing of it."""
    told = {"walk": "1", "known": ["a", "b"], "alone": True}
    recorder.list("limit=1", ["b"], told=told).list("limit=1&after=b", ["a"], told=told, at=0.5)
    assert recorder.outcome("more_is_true") == []


@pytest.mark.parametrize(("alone", "said"), [(True, ["more-but-empty"]), (False, ["passes"])])
def test_an_empty_page_after_has_more(recorder: Recorder, alone: bool, said: list[str]) -> None:
    """In a list of our own it must fail; in a shared one others may have removed theirs."""
    told = {"walk": "1", "known": ["a"], "alone": alone}
    recorder.list("limit=1", ["a"], told=told, has_more=True).list("limit=1&after=a", [], told=told)
    assert recorder.outcome("more_is_true") == said


WALK = {"walk": "1", "expects": ["a", "b", "c"], "known": ["a", "b", "c"], "alone": True}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([["a", "b"], ["c"], []], "passes"),
        ([["a", "b"], ["b", "c"], []], "doubled"),
        ([["a"], ["c"], []], "lost"),
        ([["a", "b"], ["c", "x"], []], "strange"),
    ],
)
def test_a_walk_through_a_list_of_our_own(recorder: Recorder, pages: list[list[str]], said: str) -> None:
    """Items lost, doubled or never put there must fail the walk."""
    for page in pages:
        recorder.list("limit=2", page, told=WALK, has_more=bool(page))
    assert recorder.outcome("nothing_lost") == [said]


def test_a_walk_that_breaks_off_is_undecided(recorder: Recorder) -> None:
    """A walk whose last page promises more proves no loss."""
    assert recorder.list("limit=1", ["a"], told=WALK, has_more=True).outcome("nothing_lost") == ["undecided"]


def test_a_refused_cursor_of_our_own_breaks_the_walk(recorder: Recorder) -> None:
    """The last id of a page, refused as a cursor, must fail in a list that nobody else touches."""
    recorder.list("limit=1", ["a"], told=WALK, has_more=True)
    recorder.list("limit=1&after=a", [], told=WALK, status=400)
    assert recorder.outcome("nothing_lost") == ["refused"]


def test_a_walk_through_a_shared_list_minds_its_own(recorder: Recorder) -> None:
    """Items of others may come twice, and their cursors may be gone: no finding."""
    told = {**WALK, "alone": False}
    recorder.list("limit=2", ["a", "x"], told=told, has_more=True)
    recorder.list("limit=2&after=x", [], told=told, status=400)
    recorder.list("limit=2&after=a", ["x", "b"], told=told, has_more=True)
    recorder.list("limit=2&after=b", ["c"], told=told, has_more=True)
    assert recorder.outcome("nothing_lost") == ["passes"]


@pytest.mark.parametrize(
    ("query", "ids", "alone", "said"),
    [
        ("before=c&limit=100", ["a", "b"], True, ["passes"]),
        ("before=c&limit=1", ["b"], True, ["passes"]),
        ("before=c&limit=1", ["a"], True, ["lacking"]),
        ("before=c&limit=100", ["b", "c"], True, ["not-before"]),
        ("before=c&limit=100", ["d"], False, ["not-before"]),
        ("before=c&limit=100", ["x", "a", "b"], False, ["passes"]),
        ("before=c&limit=1", ["x"], False, ["passes"]),
        ("before=c&limit=100", ["x", "a"], False, ["lacking"]),
        ("before=c&after=a&limit=100", ["b"], True, []),
        ("before=unknown", [], True, []),
    ],
)
def test_what_comes_before(recorder: Recorder, query: str, ids: list[str], alone: bool, said: Any) -> None:
    """The cursor, what follows it, or a gap before it must fail."""
    recorder.list(query, ids, told={"listing": ["a", "b", "c", "d"], "alone": alone})
    assert recorder.outcome("preceding") == said


@pytest.mark.parametrize(
    ("query", "count", "status", "said"),
    [
        ("limit=0", 0, 400, ["passes"]),
        ("limit=0", 0, 200, ["empty"]),
        ("limit=0", 1, 200, ["passes"]),
        ("limit=101", 100, 200, ["passes"]),
        ("limit=101", 101, 200, ["above"]),
        ("limit=100", 100, 200, []),
        ("limit=0", 0, 503, []),
    ],
)
def test_limits_out_of_bounds(
    recorder: Recorder, query: str, count: int, status: int, said: list[str]
) -> None:
    """A limit out of bounds that is obeyed must fail; refusing it or bringing it within bounds is fine."""
    ids = [f"m{number}" for number in range(count)]
    recorder.list(query, ids, told={"known": ["m0"]}, status=status)
    assert recorder.outcome("limit_bounds") == said


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"data": 7}', b'{"data": [null, 3, {"id": {}}, {"id": {}}]}']
)
def test_hostile_pages_break_no_check(recorder: Recorder, body: bytes) -> None:
    """Whatever a list answers, a check returns; none of them raises."""
    recorder.list("limit=2", [], told=WALK)
    exchange = recorder.exchanges.pop()
    response = Response(200, (("content-type", "application/json"),), body)
    recorder.exchanges += [
        Exchange(**{**{name: getattr(exchange, name) for name in Exchange.__slots__}, "response": response})
    ] * 2
    for name in known_checks():
        if name.startswith("pagination."):
            recorder.outcome(name.removeprefix("pagination."))
