"""The world of one item: the resources it made, bound into its requests, and removed at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance import sse
from conformance.contract.resources import Find, Resource, Wait, bound, unique_name
from conformance.exercise.binding import UnboundError, bind, iso_at, parts_of, pick, substitute, unknown_id
from conformance.exercise.outgoing import outgoing, probe_of
from conformance.exercise.plan import Plan
from conformance.exercise.tidying import GONE, removal_case
from conformance.generation.serialise import fill_path
from conformance.model import NOT_SENT, Case, Credential, Exchange, Failure, Purpose
from conformance.target import Ledger, Sent, Session

POLL_FIRST_S = 0.02
POLL_MOST_S = 2.0
TRIES = 3
#: Refused before any id is looked at: made-up ids serve, cost nothing and can harm nobody.
_NEEDS_NOTHING = frozenset({Purpose.CREDENTIAL, Purpose.METHOD})


class Unprepared(Exception):
    """What a request needs could not be made; the message names the step that failed."""


@dataclass(slots=True)
class Made:
    """A resource this item has, as last seen; ``entry`` is its line in the ledger, if it was created."""

    resource: Resource
    id: str
    value: Any
    entry: str = ""
    removal: str | None = None  # concrete path of its delete operation
    removed: bool = False


@dataclass(slots=True)
class World:
    """Sends the requests of one item and keeps what they create.

    ``exchanges`` grows with everything sent, preparation and clean-up included; it is what the
    item is judged by.
    """

    plan: Plan
    session: Session
    ledger: Ledger
    item: str
    exchanges: list[Exchange] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    order: list[Made] = field(default_factory=list)
    _preparing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def child(self) -> World:
        """A world of its own for one case; what it sends counts for the same item."""
        return World(self.plan, self.session, self.ledger, self.item, self.exchanges)

    async def send(self, case: Case) -> Exchange:
        """Prepare what the case binds, send it, and take note of what it created or removed.

        Raises Unprepared when a resource it needs cannot be made, UnboundError when the target
        declares nothing for one of its symbols.
        """
        if case.purpose not in _NEEDS_NOTHING:
            await self.prepare(case)
        sent, _ = await self._deliver(case, self.plan.creates(case))
        self._note_removal(case, sent.exchange)
        return sent.exchange

    async def make(self, name: str) -> Made:
        """A resource of the graph, made on first call, its parents before it."""
        async with self._preparing:
            return await self._make(name)

    async def step(self, case: Case, facts: Mapping[str, Any], *, keep: bool = True) -> Sent:
        """A step of a scenario: like ``send``, with facts for the checks, and the answer as it came."""
        await self.prepare(case)
        before = dict(self.made)
        sent, _ = await self._deliver(case, self.plan.creates(case), facts, replaces=keep)
        if not keep:
            self.made = before
        self._note_removal(case, sent.exchange)
        return sent

    async def prepare(self, case: Case) -> None:
        """Make every resource that the case needs and that does not exist yet, parents first."""
        async with self._preparing:
            for name in self.plan.graph.usage(case.operation).after:
                await self._make(name)
            await self._prepare(case)

    async def _prepare(self, case: Case) -> None:
        for part in parts_of(case):
            for name in bound(part):
                await self._make(name)

    async def _deliver(
        self,
        case: Case,
        creates: Resource | None,
        facts: Mapping[str, Any] | None = None,
        *,
        replaces: bool = False,
    ) -> tuple[Sent, Made | None]:
        """Send a case; the intent to create stands in the ledger before the request leaves.

        What is created stands for its kind from then on if it is the first, or if it ``replaces``.
        """
        if self.plan.halt.on:
            raise Unprepared("interrupted")
        bound_case = bind(case, self._stand_in if case.purpose in _NEEDS_NOTHING else self._lookup)
        entry = self._intend(creates)
        sent = await self._exchange(bound_case, facts)
        if creates is None:
            return sent, None
        if not _success(sent.exchange):
            refused = sent.exchange.response is not None or sent.exchange.failure in NOT_SENT
            if refused:
                self.ledger.failed(entry, f"{sent.exchange.failure or _status(sent.exchange)}")
            return sent, None
        made = await self._keep(creates, _representation(sent, creates.id), entry)
        if made is not None and replaces:
            for name in {creates.name, creates.variant_of or creates.name}:
                self.made[name] = made
        return sent, made

    def _intend(self, resource: Resource | None) -> str:
        if resource is None:
            return ""
        return self.ledger.intent(resource.name, resource.create or "", self.item, self.plan.marker)

    async def _exchange(self, case: Case, facts: Mapping[str, Any] | None = None) -> Sent:
        """Send a case whose symbols are all replaced."""
        operation = self.plan.contract.operation(case.operation)
        out = outgoing(self.plan, case, self.item, creates=self.plan.creates(case) is not None, facts=facts)
        upgrade = operation.websocket and case.method is None and case.credential is Credential.OWNER
        if upgrade and case.purpose in (Purpose.CANONICAL, Purpose.SCENARIO, Purpose.EXAMPLE, Purpose.VALID):
            sent = await self.session.websocket(out)
        else:
            sent = await self.session.send(out)
        self.exchanges.append(sent.exchange)
        if sent.exchange.failure is Failure.TIMEOUT and self.plan.probe is not None:
            # Whether the rest of the target still answers decides what the silence means.
            alive = await self.session.send(probe_of(self.plan, self.plan.probe, self.item))
            self.exchanges.append(alive.exchange)
        return sent

    # creating

    async def _make(self, name: str) -> Made:
        if (made := self.made.get(name)) is not None:
            return made
        resource = self.plan.graph.resource(name)
        for needed in resource.after:
            await self._make(needed)
        if resource.create is None:
            return await self._found(resource)
        case = self._creation(resource)
        self.plan.permit(resource.create, case)
        for needed in self.plan.graph.usage(resource.create).after:
            await self._make(needed)
        await self._prepare(case)
        sent, made = await self._deliver(case, resource)
        _expect_success(sent.exchange, f"{name}: {resource.create}")
        if made is None:
            raise Unprepared(f"{name}: the answer of {resource.create} has no {resource.id}")
        if resource.wait is not None:
            made.value = await self._wait(resource.wait, resource.name)
        return made

    def _creation(self, resource: Resource) -> Case:
        assert resource.create is not None
        case = self.plan.canonical(resource.create)
        case = replace(case, purpose=Purpose.PREPARE, id=f"{resource.create}:prepare:{resource.name}")
        template = resource.request
        if template is None:
            return case
        if template.has_body:
            case = replace(case, body=template.body, has_body=True)
        return replace(case, query=(*case.query, *template.query), headers=(*case.headers, *template.headers))

    async def _keep(self, resource: Resource, value: Any, entry: str) -> Made | None:
        identifier = pick(value, resource.id) if resource.id else None
        if not isinstance(identifier, str | int) or isinstance(identifier, bool) or identifier == "":
            identifier = None  # in a path it would ask for something nobody made
        if identifier is not None and resource.find is not None:
            identifier = await self._look_up(resource.find, identifier, resource.name)
        elif resource.id_from is not None:
            identifier = substitute(resource.id_from, self._lookup)
        if identifier is None and resource.has_id:
            return None
        made = Made(resource, str(identifier or ""), value, entry)
        if resource.delete is not None:
            made.removal = self._path(made, resource.delete, resource.delete_path)
        self.made.setdefault(resource.name, made)
        if resource.variant_of is not None:
            self.made.setdefault(resource.variant_of, made)
        self.order.append(made)
        context = {"operation": resource.delete, "path": made.removal} if made.removal else {}
        self.ledger.created(entry, made.id, context)
        return made

    async def _found(self, resource: Resource) -> Made:
        """A resource that nothing creates but a list shows: the first of them."""
        if resource.find is None:
            raise UnboundError(f"nothing creates {resource.name}, and no list shows one")
        for attempt in range(TRIES):
            value = await self._read(resource.find.operation)
            entries = pick(value, resource.find.items)
            if isinstance(entries, list) and entries:
                made = Made(resource, str(pick(entries[0], resource.find.id)), entries[0])
                self.made[resource.name] = made
                return made
            await asyncio.sleep(POLL_FIRST_S * 4**attempt)
        raise Unprepared(f"{resource.name}: {resource.find.operation} lists none")

    async def _look_up(self, find: Find, identifier: Any, name: str) -> Any:
        entries = pick(await self._read(find.operation), find.items)
        for entry in entries if isinstance(entries, list) else []:
            if pick(entry, find.match) == identifier:
                return pick(entry, find.id)
        raise Unprepared(f"{name}: {find.operation} does not list what was just created")

    async def _wait(self, wait: Wait, name: str) -> Any:
        clock = asyncio.get_running_loop().time
        until, pause = clock() + wait.within_s, POLL_FIRST_S
        while True:
            value = await self._read(wait.operation, Purpose.POLL, path=wait.path)
            status = pick(value, wait.field)
            if status in wait.until:
                return value
            wanted = " or ".join(wait.until)
            if status in wait.dead:
                raise Unprepared(f"{name}: {wait.field} became {status!r}, wanted {wanted}")
            if clock() + pause > until:
                raise Unprepared(
                    f"{name}: {wait.field} still {status!r} after {wait.within_s:g} s, wanted {wanted}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.6, POLL_MOST_S)

    async def _read(
        self, operation: str, purpose: Purpose = Purpose.PREPARE, path: Mapping[str, Any] | None = None
    ) -> Any:
        case = self.plan.canonical(operation)
        case = replace(case, purpose=purpose, id=f"{operation}:{purpose}", path=path or case.path)
        await self._prepare(case)
        sent = await self._exchange(bind(case, self._lookup))
        _expect_success(sent.exchange, operation)
        return _json(sent)

    # removing

    def _note_removal(self, case: Case, exchange: Exchange) -> None:
        """Strike out of the ledger what a successful request removed itself."""
        operation = self.plan.contract.operation(case.operation)
        if operation.method != "DELETE" or case.method is not None or not _success(exchange):
            return
        path = fill_path(operation.path, bind(case, self._lookup).path)
        for made in self.order:
            if made.removal == path and not made.removed:
                made.removed = True
                self.ledger.removed(made.entry, "by the item itself")

    async def cleanup(self) -> None:
        """Remove what was made, youngest first; what has no delete is residue, what resists is left over."""
        gone_with: set[str] = set()
        removed = {made.resource.name for made in self.order if made.removal is not None}
        for made in reversed(self.order):
            if made.removed:
                continue
            if made.resource.stop is not None:
                # A refusal is fine: what has ended by itself cannot be stopped.
                stop = made.resource.stop
                await self._ask(stop, self._path(made, stop, made.resource.stop_path))
            if made.resource.goes_with in removed:
                gone_with.add(made.entry)
            elif made.removal is not None and made.resource.delete is not None:
                await self._remove(made, made.resource.delete, made.removal)
            elif made.resource.goes_with is not None:
                gone_with.add(made.entry)
            else:
                self.ledger.residue(made.entry, made.resource.residue or "the API gives no way to delete it")
        for made in self.order:
            if made.entry in gone_with:
                self.ledger.removed(made.entry, f"with its {made.resource.goes_with}")

    def _path(self, made: Made, operation: str, values: Mapping[str, Any]) -> str:
        """The path of an operation on this very resource, also when another of its kind came first."""
        first = self.made.get(made.resource.name)
        self.made[made.resource.name] = made
        try:
            template = self.plan.contract.operation(operation).path
            return fill_path(template, substitute(dict(values), self._lookup))
        finally:
            if first is not None:
                self.made[made.resource.name] = first

    async def _remove(self, made: Made, operation: str, path: str) -> None:
        last = "not answered"
        for attempt in range(TRIES):
            exchange = await self._ask(operation, path)
            if exchange.response is not None:
                if _success(exchange) or exchange.response.status in GONE:
                    made.removed = True
                    self.ledger.removed(made.entry, f"status {exchange.response.status}")
                    return
                last = f"status {exchange.response.status}"
            elif exchange.failure in NOT_SENT:
                last = exchange.detail
                break
            await asyncio.sleep(POLL_FIRST_S * 4**attempt)
        self.ledger.left(made.entry, f"{operation}: {last}")

    async def _ask(self, name: str, path: str) -> Exchange:
        """A request of the clean-up: no body, headers as its operation requires."""
        sent = await self.session.send(
            outgoing(self.plan, removal_case(self.plan, name), self.item, path=path)
        )
        self.exchanges.append(sent.exchange)
        return sent.exchange

    # binding

    def _stand_in(self, name: str, argument: Any, symbol: Mapping[str, Any]) -> Any:
        if name == "$bind":
            return unknown_id(self.plan.graph.resource(argument).prefix or "uuid", f"{self.plan.seed}")
        try:
            return self._lookup(name, argument, symbol)
        except UnboundError:
            return unknown_id("uuid", f"{self.plan.seed}")

    def _lookup(self, name: str, argument: Any, symbol: Mapping[str, Any]) -> Any:
        target = self.plan.target
        if name == "$bind":
            made = self.made.get(argument)
            if made is None:
                raise UnboundError(f"{argument} was not prepared")
            if "at" not in symbol:
                return made.id
            value = pick(made.value, symbol["at"])
            if value is None:
                raise Unprepared(f"{argument} has no {symbol['at']}")
            return value
        if name == "$model":
            if argument not in target.models:
                raise UnboundError(f"the target file names no {argument} model")
            return target.models[argument]
        if name == "$given":
            if argument not in target.given:
                raise UnboundError(f"the target file gives no {argument}")
            return target.given[argument]
        if name == "$unique":
            return unique_name(argument, f"{self.plan.marker}-{self.plan.serial()}")
        if name == "$time":
            return iso_at(float(argument))
        if name == "$epoch":
            return self.plan.epoch() + int(argument)
        return unknown_id(argument, f"{self.plan.seed}")


def _representation(sent: Sent, pointer: str) -> Any:
    """What was created, as the answer shows it: its JSON, or what the events of a stream say of it."""
    response = sent.exchange.response
    if response is None or response.media_type != "text/event-stream":
        return _json(sent)
    for event in sse.parse(sent.raw):
        with contextlib.suppress(ValueError, RecursionError):
            data = json.loads(event.data)
            inner = [one for one in data.values() if isinstance(one, dict)] if isinstance(data, dict) else []
            for value in (data, *inner):
                if pick(value, pointer) is not None:
                    return value
    return None


def _json(sent: Sent) -> Any:
    try:
        return json.loads(sent.raw)
    except (ValueError, RecursionError):
        return None


def _status(exchange: Exchange) -> int:
    return exchange.response.status if exchange.response is not None else 0


def _success(exchange: Exchange) -> bool:
    return exchange.response is not None and 200 <= exchange.response.status < 300


def _expect_success(exchange: Exchange, step: str) -> None:
    if exchange.response is None:
        raise Unprepared(f"{step}: {exchange.detail or exchange.failure}")
    if not _success(exchange):
        raise Unprepared(f"{step} answered {exchange.response.status}")
    if exchange.failure is not None and exchange.failure is not Failure.ENDLESS:
        raise Unprepared(f"{step}: {exchange.detail or exchange.failure}")
