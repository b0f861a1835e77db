"""The list of models, single models, and the realtime connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from conformance.checks.answers import (
    HONEST,
    Problem,
    Record,
    integer,
    mapping,
    records,
    refusal,
    sequence_of,
    status_of,
    told,
    violations,
)
from conformance.checks.objects import about, answer, succeeded
from conformance.checks.registry import (
    PASSES,
    Context,
    Outcome,
    Ruling,
    Undecided,
    Violation,
    check,
    sequence,
)
from conformance.model import Exchange, Purpose

LIST, GET, DELETE = "listModels", "retrieveModel", "deleteModel"
_KEYS = ("id", "slug", "canonical_slug", "name", "owned_by", "provider")


def queried(exchange: Exchange) -> dict[str, str]:
    """The query of a request; the last of a repeated name."""
    try:
        pairs = parse_qs(urlsplit(exchange.request.url).query, max_num_fields=100)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in pairs.items()}


def entries(exchange: Exchange) -> list[Record]:
    return records(mapping(answer(exchange)).get("data"))


def _ids(exchange: Exchange) -> list[Any]:
    return [one.get("id") for one in entries(exchange)]


def _order(query: Mapping[str, str]) -> tuple[str, str]:
    return query.get("sort", "name"), query.get("order", "asc")


_WINDOW = frozenset({"limit", "offset"})
_FILTER = frozenset({"provider", "ai_service"})


@sequence("models.list")
def listed_as_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Each list by itself; windows and orders against whole lists that frame them in time and agree."""
    lists = [one for one in exchanges if one.operation == LIST and one.purpose in HONEST]
    good = [one for one in lists if succeeded(one) and isinstance(answer(one), Mapping)]
    whole = [one for one in good if not queried(one).keys() & (_WINDOW | _FILTER)]
    for exchange in good:
        found = [*_alone(exchange), *_against(exchange, _framing(exchange, whole))]
        yield exchange, violations(found)


def _alone(exchange: Exchange) -> Iterator[Problem]:
    value, found = mapping(answer(exchange)), _ids(exchange)
    if value.get("object") != "list":
        yield "object", f"object is {str(value.get('object'))[:40]!r}, expected 'list'"
    if len(set(map(repr, found))) != len(found):
        yield "twice", "a model stands in the list twice"
    limit = integer(queried(exchange).get("limit"))
    if limit is not None and len(sequence_of(value.get("data"))) > limit:
        yield "limit", f"{len(found)} models, with a limit of {limit}"
    if exchange.facts.get("unknown_provider") and found:
        yield "filter", f"{len(found)} models of a provider that does not exist"


def _framing(exchange: Exchange, whole: list[Exchange]) -> Exchange | None:
    """A whole list in the default order, seen the same before and after this exchange."""
    plain = [one for one in whole if _order(queried(one)) == ("name", "asc") and one.id != exchange.id]
    earlier = [one for one in plain if one.ended <= exchange.started]
    later = [one for one in plain if one.started >= exchange.ended]
    if earlier and later and _ids(earlier[-1]) == _ids(later[0]):
        return earlier[-1]
    return None


def _against(exchange: Exchange, frame: Exchange | None) -> Iterator[Problem]:
    query = queried(exchange)
    if frame is None or query.keys() & _FILTER:
        return
    everything, found = _ids(frame), _ids(exchange)
    start, limit = integer(query.get("offset")) or 0, integer(query.get("limit"))
    if _order(query) == ("name", "asc") and limit is not None and start + limit <= len(everything):
        if found != everything[start : start + limit]:
            yield "window", f"offset {start} and limit {limit} give other models than the whole list there"
    elif _order(query) == ("name", "desc") and not query.keys() & _WINDOW:
        same = sorted(map(repr, found)) == sorted(map(repr, everything))
        if same and not _reversed(entries(exchange), entries(frame)):
            yield "order", "order desc is not the reverse of order asc"


def _reversed(first: list[Record], second: list[Record]) -> bool:
    """Whether one list is the other backwards by some field; equal values may stand in any order."""
    return any(
        [one.get(key) for one in first] == [one.get(key) for one in reversed(second)]
        for key in _KEYS
        if any(key in one for one in first)
    )


def named(exchange: Exchange) -> str:
    """The model that a request's path names."""
    return unquote(urlsplit(exchange.request.url).path.partition("/models/")[2])


def _last(name: str) -> str:
    return name.rpartition("/")[2]


@sequence("models.retrieve")
def one_model(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    listed = {
        str(one.get("id")): one
        for exchange in exchanges
        if exchange.operation == LIST and succeeded(exchange)
        for one in entries(exchange)
    }
    for exchange in exchanges:
        found = told(exchange, GET)
        if found is not None:
            yield exchange, violations(list(_same(named(exchange), found[1], listed)))


def _same(name: str, value: Record, listed: Mapping[str, Record]) -> Iterator[Problem]:
    identifier = str(value.get("id"))
    if identifier != name and _last(identifier) != _last(name):
        yield "id", f"id is {identifier[:64]!r}, asked for {name[:64]!r}"
        return
    entry = listed.get(identifier, {})
    for field in ("object", "created", "owned_by", "slug", "canonical_slug"):
        if field in entry and field in value and entry[field] != value[field]:
            yield f"differs-{field}", f"{field} is {value[field]!r:.40}, in the list {entry[field]!r:.40}"


@check("models.unknown")
def unknown_model(exchange: Exchange, context: Context) -> Outcome:
    sought = exchange.purpose is Purpose.UNKNOWN_ID or about(exchange, "MDL-03")
    if exchange.operation != GET or not sought:
        return None
    return refusal(exchange, "a model that does not exist")


@sequence("models.delete")
def gone_after_delete(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    gone: dict[str, Exchange] = {}
    for exchange in exchanges:
        if exchange.operation == DELETE and exchange.purpose in HONEST and succeeded(exchange):
            gone.setdefault(named(exchange), exchange)
            deleted = mapping(answer(exchange)).get("deleted")
            problems = [] if deleted is True else [("deleted", f"deleted is {deleted!r:.20}")]
            yield exchange, violations(problems)
    for exchange in exchanges:
        removal = gone.get(named(exchange))
        if exchange.operation == GET and removal is not None and exchange.started >= removal.ended:
            yield exchange, refusal(exchange, "a model that was deleted")


# realtime

REALTIME = "connectRealtime"
PROMPT_S = 10.0
_CLEAN = frozenset({1000, 1001, 1005})


def _opened(exchange: Exchange) -> Mapping[str, Any] | None:
    if exchange.operation != REALTIME or exchange.purpose not in HONEST or status_of(exchange) != 101:
        return None
    facts = exchange.facts.get("websocket")
    return facts if isinstance(facts, Mapping) else None


@check("realtime.greeting")
def greets(exchange: Exchange, context: Context) -> Outcome:
    facts = _opened(exchange)
    if facts is None:
        return None
    if not facts.get("events"):
        return (Violation("the connection opened, and no event came", "silent"),)
    kind = mapping(_first_event(exchange)).get("type")
    if kind == "session.created":
        return PASSES
    return (Violation(f"the first event is of type {kind!r:.40}, expected 'session.created'", "first"),)


def _first_event(exchange: Exchange) -> Any:
    return answer(exchange)


@check("realtime.close")
def closes_cleanly(exchange: Exchange, context: Context) -> Outcome:
    facts = _opened(exchange)
    if facts is None:
        return None
    code = facts.get("close_code")
    return PASSES if code in _CLEAN else (Violation(f"closed with {code}, expected 1000", "close"),)


@check("realtime.no_upgrade")
def answers_plain_requests(exchange: Exchange, context: Context) -> Outcome:
    """A step that asked for no upgrade: it carries that fact, as its headers look like any other's."""
    if exchange.operation != REALTIME or not exchange.facts.get("plain"):
        return None
    status, took = status_of(exchange), exchange.ended - exchange.started
    if not exchange.facts.get("alive", True):
        return Undecided("the whole target had stopped answering")
    if exchange.failure is not None or not status:
        return (Violation(f"no answer without an upgrade: {exchange.failure}", "unanswered"),)
    if status < 300:
        return (Violation(f"status {status}, though no upgrade was asked for", "taken"),)
    if took > PROMPT_S:
        return (Violation(f"answered after {took:.0f} s, expected under {PROMPT_S:.0f}", "slow"),)
    return PASSES
