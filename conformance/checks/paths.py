"""What a request addressed: the path parameters and the query of its URL, and its place in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from conformance.checks.objects import View
from conformance.checks.registry import Context
from conformance.model import Exchange


def path_values(exchange: Exchange, context: Context) -> Mapping[str, str]:
    """Path parameters by name, decoded; empty when the URL is not of the operation's form."""
    template = context.operation(exchange).path.strip("/").split("/")
    actual = urlsplit(exchange.request.url).path.strip("/").split("/")[-len(template) :]
    found: dict[str, str] = {}
    for name, text in zip(template, actual, strict=False):
        if name.startswith("{") and name.endswith("}"):
            found[name[1:-1]] = unquote(text)
        elif name != text:
            return {}
    return found if len(actual) == len(template) else {}


def query_of(exchange: Exchange) -> Mapping[str, str]:
    """Query parameters, the last of each name."""
    return dict(parse_qsl(urlsplit(exchange.request.url).query, keep_blank_values=True))


def to(exchanges: Iterable[Exchange], context: Context, operation: str, **path: str) -> Iterator[Exchange]:
    """The exchanges of an operation whose path holds these values."""
    for exchange in exchanges:
        if exchange.operation == operation:
            found = path_values(exchange, context)
            if all(found.get(name) == value for name, value in path.items()):
                yield exchange


def after(exchanges: Iterable[Exchange], moment: Exchange) -> list[Exchange]:
    """Those surely sent after another was answered, in the order sent."""
    return sorted((one for one in exchanges if one.started >= moment.ended), key=lambda one: one.started)


def last_before(history: Sequence[View], moment: Exchange) -> View | None:
    """The latest of an object's sights that surely came before an exchange."""
    earlier = [view for view in history if view.exchange.ended <= moment.started]
    return max(earlier, key=lambda view: (view.exchange.ended, view.position), default=None)


def first_after(history: Sequence[View], moment: Exchange) -> View | None:
    """The earliest of an object's sights that surely came after an exchange."""
    later = [view for view in history if view.exchange.started >= moment.ended]
    return min(later, key=lambda view: (view.exchange.started, view.position), default=None)


def status(exchange: Exchange) -> int:
    """The status of the response; 0 when there is none."""
    return exchange.response.status if exchange.response is not None else 0
