"""Lists that are read page by page, by a cursor.

What a scenario knows of a list stands in the facts of its exchanges, under ``list``: ``walk`` names the
walk a page belongs to, ``expects`` the ids it must have shown by its end, ``known`` all ids there are
for sure, ``alone`` whether nobody else adds or removes items, ``listing`` the ids in the order of the
list. In a list that others share, nothing is said of their items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from conformance.checks.objects import about, answer, asked, succeeded
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
from conformance.model import Exchange

_SHOWN = 5


@dataclass(frozen=True)
class _Page:
    """One page of a list that takes a cursor. ``items`` are the objects it shows, ``ids`` their ids."""

    exchange: Exchange
    path: str
    query: Mapping[str, list[str]]
    rules: Mapping[str, Mapping[str, Any]]  # schemas of its query parameters
    body: Mapping[str, Any]
    items: list[Any]

    def asked(self, name: str) -> str | None:
        """The value of a query parameter; None unless it was sent exactly once."""
        values = self.query.get(name, [])
        return values[0] if len(values) == 1 else None

    @property
    def cursorless(self) -> bool:
        return "after" not in self.query and "before" not in self.query

    @property
    def ids(self) -> list[str | None]:
        """None for an item without an id that is text."""
        found = [one.get("id") if isinstance(one, Mapping) else None for one in self.items]
        return [one if isinstance(one, str) else None for one in found]

    @property
    def order(self) -> str | None:
        if "order" in self.query:
            return self.asked("order")
        default = self.rules.get("order", {}).get("default")
        return default if isinstance(default, str) else None

    @property
    def limit(self) -> int | None:
        """The limit in force; None when it is not given once and within its bounds."""
        rule = self.rules.get("limit", {})
        if "limit" not in self.query:
            return rule.get("default")
        limit = _integer(self.asked("limit"))
        if limit is None or not rule.get("minimum", 1) <= limit <= rule.get("maximum", limit):
            return None
        return limit

    @property
    def told(self) -> _Told:
        return _told(self.exchange)


@dataclass(frozen=True)
class _Told:
    walk: str = ""
    expects: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    alone: bool = False
    listing: tuple[str, ...] = ()


def _told(exchange: Exchange) -> _Told:
    told = exchange.facts.get("list")
    if not isinstance(told, Mapping):
        return _Told()
    return _Told(
        str(told.get("walk", "")),
        tuple(told.get("expects", ())),
        frozenset(told.get("known", ())),
        bool(told.get("alone")),
        tuple(told.get("listing", ())),
    )


def _integer(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _rules(exchange: Exchange, context: Context) -> Mapping[str, Mapping[str, Any]]:
    """Schemas of the query parameters of an operation that lists by a cursor; empty for any other."""
    if context.operation(exchange).method != "GET":
        return {}
    found = {
        one["name"]: one.get("schema", {})
        for one in context.contract.definition(exchange.operation).get("parameters", ())
        if one.get("in") == "query"
    }
    return found if "after" in found else {}


def _page(exchange: Exchange, context: Context) -> _Page | None:
    rules = _rules(exchange, context) if succeeded(exchange) else {}
    body = answer(exchange) if rules else None
    if not isinstance(body, Mapping) or not isinstance(body.get("data"), list):
        return None
    url = urlsplit(exchange.request.url)
    return _Page(exchange, url.path, parse_qs(url.query, keep_blank_values=True), rules, body, body["data"])


def _pages(exchanges: Iterable[Exchange], context: Context) -> list[_Page]:
    return [page for exchange in exchanges if (page := _page(exchange, context)) is not None]


def _said(ids: Iterable[Any]) -> str:
    shown = [str(one) for one in ids]
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + rest


# one page

PageCheck = Callable[[_Page], Outcome]


def _of_page(name: str) -> Callable[[PageCheck], PageCheck]:
    def register(function: PageCheck) -> PageCheck:
        @check(name)
        def judge(exchange: Exchange, context: Context) -> Outcome:
            page = _page(exchange, context)
            return None if page is None else function(page)

        return function

    return register


@_of_page("pagination.limit_kept")
def limit_kept(page: _Page) -> Outcome:
    if page.limit is None:
        return None
    if len(page.items) <= page.limit:
        return PASSES
    how = "asked for" if "limit" in page.query else "by default"
    return (Violation(f"{len(page.items)} items on a page of at most {page.limit} {how}", "too-many"),)


@_of_page("pagination.ends_named")
def ends_named(page: _Page) -> Outcome:
    found = []
    for name, at in (("first_id", 0), ("last_id", -1)):
        if name not in page.body:
            continue  # whether it may be left out is for the schema to say
        expected = page.ids[at] if page.ids else None
        got = page.body[name] or None
        if got != expected:
            found.append(Violation(f"{name} is {got!r}, and the item there {expected!r}", name))
    return found


@_of_page("pagination.ordered")
def ordered(page: _Page) -> Outcome:
    times = [one.get("created_at") if isinstance(one, Mapping) else None for one in page.items]
    if page.order not in ("asc", "desc") or len(times) < 2 or not all(_is_number(one) for one in times):
        return None
    for earlier, later in pairwise(times):
        if (earlier > later) if page.order == "asc" else (earlier < later):  # type: ignore[operator]
            return (
                Violation(f"created_at {earlier} stands before {later} in {page.order} order", page.order),
            )
    return PASSES


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@_of_page("pagination.preceding")
def preceding(page: _Page) -> Outcome:
    told, cursor = page.told, page.asked("before")
    if cursor not in told.listing or "after" in page.query or page.limit is None:
        return None
    at = told.listing.index(cursor)
    prior, shown = told.listing[:at], page.ids
    if misplaced := [one for one in told.listing[at:] if one in shown]:
        message = f"before={cursor} shows {_said(misplaced)}, which does not precede it"
        return (Violation(message, "not-before"),)
    expected: Sequence[str] = ()
    if told.alone:
        expected = prior[-page.limit :]
    elif len(shown) < page.limit:  # all there is: ours must be among it
        expected = prior
    if lacking := [one for one in expected if one not in shown]:
        message = f"before={cursor} does not show {_said(lacking)}, which comes directly before it"
        return (Violation(message, "lacking"),)
    return PASSES


# a request that must be refused


@check("pagination.limit_bounds")
def limit_bounds(exchange: Exchange, context: Context) -> Outcome:
    rule = _rules(exchange, context).get("limit", {})
    values = parse_qs(urlsplit(exchange.request.url).query).get("limit", [])
    limit = _integer(values[0]) if len(values) == 1 else None
    if exchange.response is None or limit is None or "maximum" not in rule:
        return None
    most = rule["maximum"]
    if rule.get("minimum", 1) <= limit <= most:
        return None
    if 400 <= exchange.response.status < 500:
        return PASSES
    page = _page(exchange, context)
    if page is None:
        return None
    if len(page.items) > most:
        return (Violation(f"limit={limit} is obeyed: {len(page.items)} items on a page", "above"),)
    if not page.items and (_told(exchange).known or page.body.get("has_more") is True):
        return (Violation(f"limit={limit} is answered by an empty page of a list that has items", "empty"),)
    return PASSES


@check("pagination.cursor_known")
def cursor_known(exchange: Exchange, context: Context) -> Outcome:
    if not about(exchange, "PAG-09") or exchange.response is None:
        return None
    status = exchange.response.status
    if 400 <= status < 500:
        return PASSES
    page = _page(exchange, context)
    if page is None:
        return None
    what = "the first page, as if no cursor were there" if page.items else "an empty page"
    return (
        Violation(
            f"a cursor that names nothing is answered {status} with {what}", f"items-{bool(page.items)}"
        ),
    )


# several pages


@sequence("pagination.more_is_true")
def more_is_true(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    pages = _pages(exchanges, context)
    for page in pages:
        more = page.body.get("has_more")
        if not isinstance(more, bool):
            continue
        if not page.items:
            if page.cursorless and page.told.alone and page.limit is not None:
                wrong = Violation("has_more is true on an empty page", "empty-but-more")
                yield page.exchange, (wrong,) if more else PASSES
            continue
        following = next((one for one in pages if _follows(page, one)), None)
        if following is not None:
            yield page.exchange, _more(page, more, following)


def _follows(page: _Page, other: _Page) -> bool:
    """Whether ``other`` is the page after ``page``, whatever its size."""
    if (other.exchange.item, other.path) != (page.exchange.item, page.path):
        return False
    if other.exchange.started < page.exchange.ended:
        return False

    def rest(one: _Page) -> dict[str, list[str]]:
        return {name: value for name, value in one.query.items() if name not in ("after", "limit")}

    return (
        "before" not in page.query
        and other.asked("after") == page.ids[-1]
        and page.ids[-1] is not None
        and rest(page) == rest(other)
        and page.told.walk == other.told.walk
    )


def _more(page: _Page, more: bool, following: _Page) -> Outcome:
    if more and not following.items and page.told.alone:
        return (Violation("has_more is true, and the next page is empty", "more-but-empty"),)
    hidden = [one for one in following.ids if one in page.told.known]
    if not more and hidden:
        message = f"has_more is false, and the next page shows {_said(hidden)}, which was there before"
        return (Violation(message, "hidden-more"),)
    return PASSES


@sequence("pagination.nothing_lost")
def nothing_lost(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    for walk in _walks(exchanges, context):
        yield walk[-1], _walked(walk, context)


def _walks(exchanges: Sequence[Exchange], context: Context) -> Iterator[list[Exchange]]:
    found: dict[tuple[str, ...], list[Exchange]] = {}
    for exchange in exchanges:
        if walk := _told(exchange).walk:
            key = (exchange.item, urlsplit(exchange.request.url).path, walk)
            found.setdefault(key, []).append(exchange)
    yield from found.values()


def _walked(walk: Sequence[Exchange], context: Context) -> Outcome:
    told = _told(walk[-1])
    shown: list[str] = []
    ended = False
    for exchange in walk:
        if exchange.response is None:
            return Undecided("a page of the walk was not answered")
        page = _page(exchange, context)
        if page is None:
            if told.alone and 400 <= exchange.response.status < 500:
                status = exchange.response.status
                return (Violation(f"the page's own last id is refused as a cursor with {status}", "refused"),)
            continue  # a cursor of somebody else's, since removed: the walk went on from one of ours
        shown += [one for one in page.ids if one is not None]
        ended = not page.items or page.body.get("has_more") is False
    watched = shown if told.alone else [one for one in shown if one in told.known]
    if doubled := {one for one in watched if watched.count(one) > 1}:
        return (Violation(f"shown twice on the way through the list: {_said(sorted(doubled))}", "doubled"),)
    if not ended and not told.alone:
        ended = set(told.expects) <= set(shown)
    if not ended:
        return Undecided("the walk was not led to its end: others add to the list")
    if lost := [one for one in told.expects if one not in shown]:
        return (Violation(f"lost on the way through the list: {_said(lost)}", "lost"),)
    if strange := [one for one in shown if told.alone and told.known and one not in told.known]:
        return (Violation(f"not in the list, and yet shown: {_said(strange)}", "strange"),)
    return PASSES


@sequence("pagination.mirrored")
def mirrored(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """The first complete walk of a list in each order, by the ids both had to show."""
    complete: dict[str, dict[str, list[Exchange]]] = {}
    for walk in _walks(exchanges, context):
        page = _page(walk[-1], context)
        if page is not None and page.order and _walked(walk, context) == PASSES:
            complete.setdefault(page.path, {}).setdefault(page.order, walk)
    for orders in complete.values():
        if {"asc", "desc"} <= set(orders):
            up, down = orders["asc"], orders["desc"]
            common = set(_told(up[-1]).expects) & set(_told(down[-1]).expects)
            rising = [one for one in _shown(up, context) if one in common]
            falling = [one for one in _shown(down, context) if one in common]
            wrong = Violation(f"ascending {_said(rising)}; descending {_said(falling)}", "not-mirrored")
            yield up[-1], PASSES if rising == falling[::-1] else (wrong,)


def _shown(walk: Sequence[Exchange], context: Context) -> list[Any]:
    return [one for page in _pages(walk, context) for one in page.ids]


@sequence("pagination.input_order")
def input_order(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    """Items that repeat a request's input stand in its order, where the list is asked for no other."""
    given: dict[str, list[str]] = {}
    for exchange in exchanges:
        made, sent = answer(exchange), asked(exchange)
        if succeeded(exchange) and isinstance(made, Mapping) and isinstance(sent, Mapping):
            texts = _texts(sent.get("input"))
            if isinstance(made.get("id"), str) and len(texts) > 1 and not sent.get("previous_response_id"):
                given[made["id"]] = texts
    for page in _pages(exchanges, context):
        texts = next((given[part] for part in page.path.split("/") if part in given), [])
        shown = [one for one in _texts(page.items) if one in texts]
        if "order" not in page.query and page.cursorless and len(shown) > 1:
            expected = [one for one in texts if one in shown]
            wrong = Violation(f"input items come as {_said(shown)}, given as {_said(expected)}", "order")
            yield page.exchange, PASSES if shown == expected else (wrong,)


def _texts(items: Any) -> list[str]:
    """The texts of messages, each given as a string or as a list of parts."""
    found = []
    for one in items if isinstance(items, list) else ():
        content = one.get("content") if isinstance(one, Mapping) else None
        if isinstance(content, list):
            content = next((part.get("text") for part in content if isinstance(part, Mapping)), None)
        if isinstance(content, str):
            found.append(content)
    return found


@sequence("pagination.items_real")
def items_real(exchanges: Sequence[Exchange], context: Context) -> Iterator[Ruling]:
    pages = _pages(exchanges, context)
    for page in pages:
        yield page.exchange, _well_formed(page)
    for read in exchanges:
        shown = read.facts.get("shown_by")
        if not shown or read.response is None:
            continue
        identifier = urlsplit(read.request.url).path.rpartition("/")[2]
        source = next((one for one in pages if one.exchange.id == shown and identifier in one.ids), None)
        if source is not None and read.response.status < 500:
            status = read.response.status
            wrong = Violation(f"lists {identifier}, and reading it answers {status}", "not-readable")
            yield source.exchange, PASSES if succeeded(read) else (wrong,)


def _well_formed(page: _Page) -> Outcome:
    found = []
    if page.body.get("object") != "list":
        found.append(Violation(f"object is {page.body.get('object')!r}, expected 'list'", "object"))
    names = [one for one in page.ids if isinstance(one, str)]
    if len(names) < len(page.ids):
        found.append(Violation(f"{len(page.ids) - len(names)} items without an id", "no-id"))
    if doubled := {one for one in names if names.count(one) > 1}:
        found.append(Violation(f"twice on one page: {_said(sorted(doubled))}", "twice"))
    return found
