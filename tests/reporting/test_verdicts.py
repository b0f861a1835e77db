"""Rolling up: what decides, what never does, and what may never be hidden."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.model import Finding, Level, Operation, Plane, Result, Verdict
from conformance.reporting.results import Execution, ItemOutcome, OutOfScope, roll_up, verdict_of
from conformance.reporting.scorecard import STRICTER, scorecard

Small = Callable[..., Execution]

UNIT = ("R", "one")


def result(
    verdict: Verdict,
    operation: str = "one",
    requirement: str = "R",
    judged: int = 1,
    stricter: bool | None = None,
) -> Result:
    findings = () if stricter is None else (finding("m", stricter=stricter),)
    return Result(
        requirement, operation, verdict, judged, findings, "why" if verdict is not Verdict.PASS else ""
    )


def finding(message: str, fingerprint: str = "", stricter: bool = False) -> Finding:
    return Finding("R", Level.MUST, "one", "x1", message, (), fingerprint, stricter)


results = st.lists(
    st.builds(
        result,
        st.sampled_from(list(Verdict)),
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from(["R", "S"]),
        st.integers(0, 3),
        st.sampled_from([None, True, False]),
    ),
    max_size=12,
)


@given(results)
def test_every_unit_of_the_universe_has_exactly_one_answer(given_results: list[Result]) -> None:
    """A unit nobody judged must come out as inconclusive with a reason, never be absent."""
    universe = [("R", "one"), ("R", "two"), ("S", "silent")]
    rolled = {(one.requirement, one.operation): one for one in roll_up(given_results, universe)}
    assert set(rolled) == set(universe) | {(one.requirement, one.operation) for one in given_results}
    assert rolled["S", "silent"].verdict is Verdict.INCONCLUSIVE
    assert all(one.reason for one in rolled.values() if one.verdict is Verdict.INCONCLUSIVE)


@given(results, st.randoms(use_true_random=False))
def test_order_never_changes_a_verdict(given_results: list[Result], dice: object) -> None:
    """Workers report in any order: the verdicts and the counts must not depend on it."""
    shuffled = list(given_results)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = roll_up(given_results, []), roll_up(shuffled, [])
    assert [(r.requirement, r.operation, r.verdict, r.judged) for r in first] == [
        (r.requirement, r.operation, r.verdict, r.judged) for r in second
    ]


@given(results)
def test_one_pass_never_hides_a_gap(given_results: list[Result]) -> None:
    """Adding a pass anywhere must not turn an error, a failure or a gap into anything milder."""
    before = {(r.requirement, r.operation): r.verdict for r in roll_up(given_results, [])}
    passes = [result(Verdict.PASS, operation, requirement) for requirement, operation in before]
    after = {(r.requirement, r.operation): r.verdict for r in roll_up([*given_results, *passes], [])}
    for unit, verdict in before.items():
        told = any(
            r.verdict is Verdict.INCONCLUSIVE for r in given_results if (r.requirement, r.operation) == unit
        )
        if verdict in (Verdict.ERROR, Verdict.FAIL, Verdict.WAIVED) or (
            verdict is Verdict.INCONCLUSIVE and told
        ):
            assert after[unit] is verdict


@given(results)
def test_rolling_up_twice_changes_nothing(given_results: list[Result]) -> None:
    """Merging reports of shards must be able to roll up again what was rolled up."""
    once = roll_up(given_results, [UNIT])
    assert roll_up(once, [UNIT]) == once


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR), Verdict.ERROR),
        ((Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL), Verdict.FAIL),
        ((Verdict.PASS, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.WAIVED, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.WAIVED, Verdict.PASS), Verdict.WAIVED),
        ((Verdict.NOT_APPLICABLE, Verdict.PASS), Verdict.PASS),
        ((Verdict.NOT_APPLICABLE,), Verdict.NOT_APPLICABLE),
    ],
)
def test_precedence(verdicts: tuple[Verdict, ...], expected: Verdict) -> None:
    """error > fail > inconclusive > waived > pass > not applicable, in whatever order they come."""
    assert roll_up([result(one) for one in verdicts], [UNIT])[0].verdict is expected


def test_a_pass_from_no_exchange_is_refused() -> None:
    """A check that saw nothing must not count as passed."""
    (rolled,) = roll_up([result(Verdict.PASS, judged=0)], [UNIT], {("", "one"): "the breaker opened"})
    assert (rolled.verdict, rolled.reason) == (Verdict.INCONCLUSIVE, "the breaker opened")


def test_findings_are_unique_bounded_and_the_deciding_ones_survive() -> None:
    """Equal fingerprints must be listed once; the bound must not cut a finding that decides."""
    strict = [finding(f"m{at}", f"f{at}", stricter=True) for at in range(9)]
    real = finding("real", "real")
    many = [
        Result("R", "one", Verdict.FAIL, 2, (*strict, *strict)),
        Result("R", "one", Verdict.FAIL, 3, (real,)),
    ]
    (rolled,) = roll_up(many, [UNIT], findings_per_unit=4)
    assert len(rolled.findings) == 4
    assert rolled.findings[0] == real
    assert rolled.judged == 5


def test_stricter_than_practice_never_masks_a_failure_without_findings() -> None:
    """A failure that lists nothing, merged with a stricter-only one, must stay a failure."""
    (rolled,) = roll_up([result(Verdict.FAIL), result(Verdict.FAIL, stricter=True)], [UNIT])
    assert rolled.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("verdict", "level", "expected"),
    [
        (Verdict.PASS, Level.MUST, 0),
        (Verdict.FAIL, Level.MUST, 1),
        (Verdict.FAIL, Level.SHOULD, 0),
        (Verdict.FAIL, Level.MAY, 0),
        (Verdict.INCONCLUSIVE, Level.MUST, 3),
        (Verdict.INCONCLUSIVE, Level.SHOULD, 0),
        (Verdict.ERROR, Level.MUST, 4),
        (Verdict.ERROR, Level.MAY, 4),
        (Verdict.WAIVED, Level.MUST, 0),
        (Verdict.NOT_APPLICABLE, Level.MUST, 0),
    ],
)
def test_exit_code(small: Small, verdict: Verdict, level: Level, expected: int) -> None:
    """Beside one MUST that passes, only a MUST, or an error of the suite, may change the code."""
    pair = (result(Verdict.PASS), result(verdict, "two", "S"))
    outcome = verdict_of(small(roll_up(pair, []), {"R": Level.MUST, "S": level}))
    assert outcome.exit_code == expected
    assert outcome.reason


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE), 4),
        ((Verdict.FAIL, Verdict.INCONCLUSIVE), 1),
        ((Verdict.INCONCLUSIVE, Verdict.PASS), 3),
    ],
)
def test_exit_code_precedence(small: Small, verdicts: tuple[Verdict, ...], expected: int) -> None:
    """The worst decides: 4 before 1 before 3."""
    made = tuple(result(one, "one", f"R{at}") for at, one in enumerate(verdicts))
    assert verdict_of(small(made)).exit_code == expected


def test_nothing_exercised_is_never_conformant(small: Small) -> None:
    """No result, no judged exchange, or only what does not apply: exit 3."""
    assert verdict_of(small(())).exit_code == 3
    assert verdict_of(small((result(Verdict.NOT_APPLICABLE),))).exit_code == 3
    assert verdict_of(small((), operations=())).exit_code == 3


def test_an_unreached_operation_is_never_conformant(small: Small) -> None:
    """All MUST pass, yet one claimed operation gave no validated 2xx: exit 3, with the reason."""
    made = small((result(Verdict.PASS),), reached={"one": True}, gaps={"two": "refused with 400"})
    outcome = verdict_of(made)
    assert outcome.exit_code == 3
    assert "refused with 400" in outcome.reason


def test_a_broken_item_is_an_error(small: Small) -> None:
    """An item that broke outside any judgement must not end in a verdict about the target."""
    item = ItemOutcome("n", "valid", "one", Verdict.ERROR, "KeyError")
    assert verdict_of(small((result(Verdict.PASS),), items=(item,))).exit_code == 4


def test_stricter_than_practice_is_counted_apart(small: Small) -> None:
    """Such a unit must not fail the verdict, and must not look like a plain pass either."""
    for verdict in (Verdict.FAIL, Verdict.PASS):
        card = scorecard(small(roll_up([result(verdict, stricter=True)], [UNIT])))
        assert card["verdict"]["exit_code"] == 0
        assert card["counts"][STRICTER] == 1
        assert card["counts"]["pass"] == card["counts"]["fail"] == 0
        assert card["findings"]["list"][0]["stricter_than_practice"]


def test_what_is_not_claimed_is_shown_and_decides_nothing(small: Small) -> None:
    """A failure of an operation outside the scope must be listed, marked, and leave the code alone."""
    outside = Operation("other", "GET", "/other", "Elsewhere", Plane.DATA)
    made = (result(Verdict.PASS), result(Verdict.FAIL, "other", stricter=False))
    card = scorecard(small(made, out_of_scope=(OutOfScope(outside, "not selected"),)))
    assert card["verdict"]["exit_code"] == 0
    assert [one["out_of_scope"] for one in card["findings"]["list"]] == [True]


def test_an_operation_nobody_declared_still_decides(small: Small) -> None:
    """A result for an unknown operation must not vanish: it counts, under the target as a whole."""
    card = scorecard(small((result(Verdict.PASS), result(Verdict.FAIL, "stranger"))))
    assert card["verdict"]["exit_code"] == 1
    assert card["groups"][-1]["name"] == "Target as a whole"
    assert card["groups"][-1]["counts"]["fail"] == 1
