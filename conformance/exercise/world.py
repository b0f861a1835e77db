"""The world of one item: the resources it made, bound into its requests, and removed at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from conformance.contract.resources import Find, Resource, Wait
from conformance.exercise.binding import (
    UnboundError,
    bind,
    iso_at,
    parts_of,
    pick,
    resources_in,
    substitute,
    symbol_of,
    unknown_id,
)
from conformance.exercise.plan import Plan
from conformance.generation import canonical_case, wire
from conformance.model import NOT_SENT, Case, Credential, Exchange, Failure, Purpose
from conformance.target import Ledger, Outgoing, Sent, Session

POLL_FIRST_S = 0.02
POLL_MOST_S = 2.0
CLEANUP_TRIES = 3
PROBE_TIMEOUT_S = 3.0
_GONE = (404, 410)


class Unprepared(Exception):
    """What a request needs could not be made; the message names the step that failed."""


@dataclass(slots=True)
class Made:
    """A resource this item created, as last seen. ``path`` is where its delete operation removes it."""

    resource: Resource
    id: str
    value: Any
    delete_path: str | None
    entry: str
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

    def child(self) -> World:
        """A world of its own for one case; what it sends counts for the same item."""
        return World(self.plan, self.session, self.ledger, self.item, self.exchanges)

    async def send(self, case: Case) -> Exchange:
        """Prepare what the case binds, send it, and take note of what it created or removed.

        Raises Unprepared when a resource it needs cannot be made, UnboundError when the target
        declares nothing for one of its symbols.
        """
        await self.prepare(case)
        return await self._send(case)

    async def prepare(self, case: Case) -> None:
        """Make every resource that the case binds and that does not exist yet, parents first."""
        for part in parts_of(case):
            for name in resources_in(part):
                await self._make(name)

    async def _send(self, case: Case) -> Exchange:
        creates = self.plan.creates(case)
        sent, made = await self._deliver(case, creates)
        if made is None and succeeded(sent.exchange):
            self._note_removal(case)
        return sent.exchange

    async def _deliver(self, case: Case, creates: Resource | None) -> tuple[Sent, Made | None]:
        """Send a case; the intent to create stands in the ledger before the request leaves."""
        entry = self._intend(creates)
        sent = await self._exchange(bind(case, self._lookup))
        if creates is None:
            return sent, None
        value = _json(sent)
        identifier = pick(value, creates.id) if succeeded(sent.exchange) else None
        if identifier is not None and creates.find is not None:
            identifier = await self._find(creates.find, identifier, creates)
        if identifier is None:
            refused = sent.exchange.response is not None and not succeeded(sent.exchange)
            self.ledger.void(entry) if refused else self.ledger.left(entry, "the answer names no id")
            return sent, None
        return sent, self._keep(creates, str(identifier), value, entry)

    def _intend(self, resource: Resource | None) -> str:
        if resource is None:
            return ""
        return self.ledger.intend(
            resource=resource.name, operation=resource.create or "", item=self.item, marker=self.plan.marker
        )

    async def _exchange(self, case: Case, facts: Mapping[str, Any] | None = None) -> Sent:
        operation = self.plan.contract.operation(case.operation)
        message = wire(case)
        told = {**({"note": case.note} if case.note else {}), **(facts or {})}
        outgoing = Outgoing(
            operation=operation.id,
            plane=operation.plane,
            method=case.method or operation.method,
            path=fill(operation.path, case.path),
            query=message.query,
            headers=message.headers,
            content=message.content,
            credential=case.credential,
            purpose=case.purpose,
            item=self.item,
            case=case.id,
            facts=told,
        )
        upgrade = operation.websocket and case.method is None and case.credential is Credential.OWNER
        if upgrade and case.purpose in (Purpose.CANONICAL, Purpose.VALID):
            sent = await self.session.websocket(outgoing)
        else:
            sent = await self.session.send(outgoing, probe=self.plan.probe)
        self.exchanges.append(sent.exchange)
        return sent

    # creating

    async def _make(self, name: str) -> Made:
        if (made := self.made.get(name)) is not None:
            return made
        resource = self.plan.graph.resources[name]
        if resource.create is None:
            return await self._find_only(resource)
        case = canonical_case(self.plan.contract, self.plan.graph, resource.create, template=resource.request)
        case = replace(case, purpose=Purpose.PREPARE, id=f"{case.id}/{name}")
        self.plan.permit(resource.create, case)
        await self.prepare(case)
        sent, found = await self._deliver(case, resource)
        _expect_success(sent.exchange, f"{name}: {resource.create}")
        if found is None:
            raise Unprepared(f"{name}: the answer of {resource.create} has no {resource.id}")
        if resource.wait is not None:
            found.value = await self._wait(resource.wait, found)
        return found

    async def _find_only(self, resource: Resource) -> Made:
        if resource.find is None:
            raise UnboundError(f"nothing creates {resource.name}, and the target file names none")
        for _ in range(CLEANUP_TRIES):
            value = await self._read(resource.find.operation, Purpose.PREPARE)
            found = pick(value, resource.find.items)
            if isinstance(found, list) and found:
                first = found[0]
                made = Made(resource, str(pick(first, resource.find.id)), first, None, "")
                self.made[resource.name] = made
                return made
            await asyncio.sleep(POLL_FIRST_S)
        raise Unprepared(f"{resource.name}: {resource.find.operation} lists none")

    async def _find(self, find: Find, identifier: Any, resource: Resource) -> Any:
        value = await self._read(find.operation, Purpose.PREPARE)
        found = pick(value, find.items)
        for one in found if isinstance(found, list) else []:
            if pick(one, find.match) == identifier:
                return pick(one, find.id)
        raise Unprepared(f"{resource.name}: {find.operation} does not list what was just created")

    async def _wait(self, wait: Wait, made: Made) -> Any:
        clock = asyncio.get_running_loop().time
        until, pause = clock() + wait.within_s, POLL_FIRST_S
        while True:
            value = await self._read(wait.operation, Purpose.POLL)
            status = pick(value, wait.field)
            if status in wait.until:
                return value
            if clock() + pause > until:
                raise Unprepared(
                    f"{made.resource.name}: {wait.field} still {status!r} after {wait.within_s:g} s, "
                    f"wanted {' or '.join(wait.until)}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.6, POLL_MOST_S)

    async def _read(self, operation: str, purpose: Purpose) -> Any:
        case = replace(canonical_case(self.plan.contract, self.plan.graph, operation), purpose=purpose)
        await self.prepare(case)
        sent = await self._exchange(bind(case, self._lookup))
        _expect_success(sent.exchange, operation)
        return _json(sent)

    def _keep(self, resource: Resource, identifier: str, value: Any, entry: str) -> Made:
        made = Made(resource, identifier, value, None, entry)
        self.made.setdefault(resource.name, made)
        family = self.plan.graph.usage(resource.create).resource if resource.create else None
        self.made.setdefault(family or resource.name, made)  # a variant stands for its kind
        if resource.delete is not None:
            usage = self.plan.graph.usage(resource.delete)
            stands_for = {usage.resource, resource.name}

            def lookup(name: str, argument: Any, symbol: Mapping[str, Any]) -> Any:
                if name == "$bind" and argument in stands_for and "at" not in symbol:
                    return identifier
                return self._lookup(name, argument, symbol)

            operation = self.plan.contract.operation(resource.delete)
            made.delete_path = fill(operation.path, substitute(dict(usage.path), lookup))
        self.order.append(made)
        self.ledger.created(entry, identifier)
        return made

    def _note_removal(self, case: Case) -> None:
        """Strike out of the ledger what a successful request removed itself."""
        operation = self.plan.contract.operation(case.operation)
        if operation.method != "DELETE" or case.method is not None:
            return
        path = fill(operation.path, bind(case, self._lookup).path)
        for made in self.order:
            if made.delete_path == path and not made.removed:
                made.removed = True
                self.ledger.removed(made.entry, "by the item itself")

    # removing

    async def cleanup(self) -> None:
        """Remove what was made, youngest first; what has no delete is residue, what resists is left over."""
        for made in reversed(self.order):
            if made.removed:
                continue
            if made.delete_path is None:
                if made.resource.goes_with is None:
                    self.ledger.residue(made.entry, made.resource.residue or "the API gives no way to delete it")
                else:
                    self.ledger.removed(made.entry, f"with its {made.resource.goes_with}")
                continue
            await self._remove(made)

    async def _remove(self, made: Made) -> None:
        assert made.resource.delete is not None and made.delete_path is not None
        operation = self.plan.contract.operation(made.resource.delete)
        case = canonical_case(self.plan.contract, self.plan.graph, operation.id)
        headers = tuple((name, value) for name, value in case.headers if symbol_of(value) is None)
        outgoing = Outgoing(
            operation=operation.id,
            plane=operation.plane,
            method=operation.method,
            path=made.delete_path,
            headers=headers,
            purpose=Purpose.CLEANUP,
            item=self.item,
            case=f"{operation.id}/cleanup",
            credential=Credential.OWNER,
        )
        last = "not answered"
        for attempt in range(CLEANUP_TRIES):
            sent = await self.session.send(outgoing)
            self.exchanges.append(sent.exchange)
            if (response := sent.exchange.response) is not None:
                if 200 <= response.status < 300 or response.status in _GONE:
                    made.removed = True
                    self.ledger.removed(made.entry, f"status {response.status}")
                    return
                last = f"status {response.status}"
            elif sent.exchange.failure in NOT_SENT:
                last = sent.exchange.detail
                break
            await asyncio.sleep(POLL_FIRST_S * 4**attempt)
        self.ledger.left(made.entry, last)

    # binding

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
            return f"{argument}-{self.plan.marker}-{self.plan.serial()}"
        if name == "$time":
            return iso_at(float(argument))
        if name == "$epoch":
            return self.plan.epoch() + int(argument)
        return unknown_id(argument, f"{self.plan.seed}")


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The path with its parameters percent-encoded into it; KeyError names a missing one."""
    out = template
    for name, value in values.items():
        out = out.replace("{" + name + "}", quote(str(value), safe=""))
    return out


def _json(sent: Sent) -> Any:
    try:
        return json.loads(sent.body)
    except (ValueError, RecursionError):
        return None


def _expect_success(exchange: Exchange, step: str) -> None:
    if exchange.response is None:
        raise Unprepared(f"{step}: {exchange.detail or exchange.failure}")
    if not 200 <= exchange.response.status < 300:
        raise Unprepared(f"{step} answered {exchange.response.status}")
    if exchange.failure is not None and exchange.failure is not Failure.ENDLESS:
        raise Unprepared(f"{step}: {exchange.detail or exchange.failure}")
