"""What an exchange asked for: path, query, form fields; and when two values say the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, unquote, urlsplit

from conformance.checks.objects import View, succeeded, views
from conformance.checks.registry import Context, Ruling, SequenceCheck, Undecided, Violation, sequence
from conformance.model import Credential, Exchange, Purpose

#: What such an exchange is answered with says nothing of the objects it names.
_DISHONEST = frozenset({Purpose.INVALID, Purpose.METHOD, Purpose.CREDENTIAL, Purpose.UNKNOWN_ID})


@dataclass(frozen=True)
class Part:
    """One part of a multipart form; ``filename`` is None for a plain field."""

    name: str
    filename: str | None
    content: bytes


def honest(exchange: Exchange) -> bool:
    """Whether the owner sent it as the contract allows, so that its answer can be held to its request."""
    return exchange.purpose not in _DISHONEST and exchange.credential is Credential.OWNER


def done(exchanges: Iterable[Exchange], *operations: str) -> Iterator[Exchange]:
    """The honest exchanges of these operations that succeeded, in the order given."""
    return (one for one in exchanges if one.operation in operations and honest(one) and succeeded(one))


def status_of(exchange: Exchange) -> int:
    """The status of the answer; 0 where there is none."""
    return exchange.response.status if exchange.response is not None else 0


def earlier(first: Exchange, second: Exchange) -> bool:
    """Whether one exchange had surely ended before the other began."""
    return first.id != second.id and first.ended <= second.started


def path_of(exchange: Exchange, context: Context) -> Mapping[str, str]:
    """The path parameters that were sent, decoded; empty when the path is not the operation's."""
    return _path(context.operation(exchange).path, exchange.request.url)


@lru_cache(maxsize=1024)
def _path(template: str, url: str) -> Mapping[str, str]:
    wanted = template.strip("/").split("/")
    given = urlsplit(url).path.rstrip("/").split("/")[-len(wanted) :]
    found: dict[str, str] = {}
    if len(given) != len(wanted):
        return found
    for name, value in zip(wanted, given, strict=True):
        if name.startswith("{"):
            found[name[1:-1]] = unquote(value)
        elif name != value:
            return {}
    return found


def query_of(exchange: Exchange) -> Mapping[str, str]:
    """The query parameters that were sent; of one given twice, the last."""
    return dict(parse_qsl(urlsplit(exchange.request.url).query, keep_blank_values=True))


def form_of(exchange: Exchange) -> Mapping[str, Part]:
    """The parts of a multipart request by name; empty for any other request."""
    sent = {name.lower(): value for name, value in exchange.request.headers}
    boundary = re.search(r'boundary="?([^";,]+)', sent.get("content-type", ""))
    if boundary is None:
        return {}
    return {part.name: part for part in _parts(exchange.request.body, boundary[1].encode())}


def _parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    for chunk in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, separator, content = chunk.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if not separator or name is None:
            continue
        file = re.search(rb'filename="([^"]*)"', head)
        yield Part(
            name[1].decode("utf-8", "replace"),
            file[1].decode("utf-8", "replace") if file is not None else None,
            content,
        )


def listed(value: Any) -> list[Mapping[str, Any]]:
    """The entries of a list answer that are objects."""
    data = value.get("data") if isinstance(value, Mapping) else None
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one: what follows need not ask."""
    return value if isinstance(value, Mapping) else {}


def word(value: Any) -> str:
    """The value if it is text, else empty: safe to look up, whatever a target sent."""
    return value if isinstance(value, str) else ""


def is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_model(asked: Any, answered: Any) -> bool:
    """Whether an answer may name the model that was asked for: with its provider, or its date."""
    if not isinstance(asked, str) or not isinstance(answered, str):
        return False
    names = [re.sub(r"^@[^/]+/", "", one) for one in (asked, answered)]
    short = [one.rsplit("/", 1)[-1] for one in names]
    return names[0] == names[1] or short[1].startswith(short[0]) or short[0].startswith(short[1])


def holds(asked: Any, answered: Any) -> bool:
    """Whether an answer repeats what was asked; it may say more (defaults), and null for nothing."""
    if isinstance(asked, Mapping):
        if not isinstance(answered, Mapping):
            return not asked and answered is None
        return all(value is None or holds(value, answered.get(name)) for name, value in asked.items())
    if isinstance(asked, list):
        if not isinstance(answered, list) or len(asked) != len(answered):
            return not asked and answered is None
        return all(holds(one, other) for one, other in zip(asked, answered, strict=True))
    if is_number(asked) and is_number(answered):
        return abs(float(asked) - float(answered)) < 1e-6
    return type(asked) is type(answered) and bool(asked == answered)


def texts(value: Any) -> bool:
    """Whether metadata is what every object may keep: at most 16 texts of at most 512 characters."""
    return (
        isinstance(value, Mapping)
        and len(value) <= 16
        and all(isinstance(one, str) and len(one) <= 512 for one in value.values())
    )


def gathered(found: Iterable[tuple[Exchange, Sequence[str] | Undecided | None]]) -> Iterable[Ruling]:
    """One ruling for each exchange spoken of, from what was said of its objects one by one.

    Each text is ``kind: message``; equal kinds are equal faults.
    """
    said: dict[str, list[str]] = {}
    exchanges: dict[str, Exchange] = {}
    for exchange, wrong in found:
        if wrong is None:
            continue
        exchanges[exchange.id] = exchange
        if isinstance(wrong, Undecided):
            said.setdefault(exchange.id, [])
            yield exchange, wrong
            exchanges.pop(exchange.id)
            continue
        said.setdefault(exchange.id, []).extend(wrong)
    for name, exchange in exchanges.items():
        yield exchange, tuple(Violation(text, text.split(":")[0]) for text in dict.fromkeys(said[name]))


Wrong = Sequence[str] | None
Rule = Any  # Callable[[View, Context], Wrong]; kept loose for tables of lambdas


def each_view(name: str, rule: Rule, *kinds: str) -> SequenceCheck:
    """Register a check of every sight of objects of these kinds.

    ``rule(value)`` gets one object and says what is wrong with it, each as ``kind: message``; empty
    when all is well, None when it does not speak of it.
    """

    def judge(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        return gathered((view.exchange, rule(view.value)) for view in views(exchanges, *kinds))

    return sequence(name)(judge)


def sights(exchanges: Iterable[Exchange], *kinds: str) -> list[View]:
    """Every honest view of objects of these kinds."""
    return [view for view in views(exchanges, *kinds) if honest(view.exchange)]
