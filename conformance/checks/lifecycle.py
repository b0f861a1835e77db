"""The lives of objects, judged against the machines of ``specs/<contract>/lifecycles.yaml``.

All sights of one object are merged: answers, lists, events of streams. Whoever polls skips statuses, so
what is judged is reachability, between sights whose order in time is proven. The checks of a machine are
named there; each is made here by one of a few generic functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from conformance.checks.objects import View, before, histories, views
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, SequenceCheck, Violation, sequence
from conformance.contract.lifecycles import FieldRule, Machine, load_lifecycles, packaged_lifecycles
from conformance.model import Exchange

_SHOWN = 120
#: What a machine says of one item's exchanges, once the machine is known.
Aspect = Callable[[Machine, Sequence[Exchange]], Iterable[Ruling]]


def status_of(machine: Machine, view: View) -> str:
    """The status a view shows; empty where it shows none."""
    status = view.value.get(machine.field)
    return status if isinstance(status, str) else ""


def lives(machine: Machine, exchanges: Sequence[Exchange]) -> Mapping[str, list[View]]:
    """All sights of each object of a machine, by its id."""
    return histories(views(exchanges, *machine.objects))


def proven_pairs(history: Sequence[View]) -> Iterator[tuple[View, View]]:
    """(earlier, later) for each sight and those that are nearest before it.

    An earlier sight is passed over when a third one surely lies between: its pairs say all there is.
    """
    ordered = sorted(history, key=lambda view: (view.exchange.ended, view.position))
    for number, later in enumerate(ordered):
        nearest: list[View] = []
        for earlier in reversed(ordered[:number]):
            if not before(earlier, later):
                continue
            if any(before(earlier, one) for one in nearest):
                continue
            nearest.append(earlier)
            yield earlier, later


def commands_between(
    machine: Machine, first: View, second: View, exchanges: Sequence[Exchange]
) -> frozenset[str]:
    """Operations that unlock steps and may have been accepted on the object between two sights."""
    if not machine.unlocks:
        return frozenset()
    operations = {one.operation for one in machine.unlocks}
    return frozenset(
        exchange.operation
        for exchange in exchanges
        if exchange.operation in operations
        and exchange.started < second.exchange.ended
        and exchange.ended > first.exchange.started
        and not refused(exchange)
        and first.id in urlsplit(exchange.request.url).path.split("/")
    )


def refused(exchange: Exchange) -> bool:
    """A plain no: what is not answered, or by a failure, may still have taken effect."""
    return exchange.response is not None and 400 <= exchange.response.status < 500


def _known(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
    for view in views(exchanges, *machine.objects):
        status = view.value.get(machine.field)
        if isinstance(status, str) and status in machine.states:
            yield view.exchange, PASSES
        else:
            told = f"{view.kind} {view.id}: {machine.field} {_short(status)} is not documented"
            yield view.exchange, (Violation(told, "unknown-status"),)


def _begins(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
    begun: set[str] = set()
    for view in views(exchanges, *machine.objects):
        if view.exchange.operation not in machine.begins_with or view.exchange.id in begun:
            continue
        begun.add(view.exchange.id)  # of a stream, the first sight
        status = status_of(machine, view)
        if status in machine.begins_in:
            yield view.exchange, PASSES
        elif status in machine.states:
            expected = " or ".join(sorted(machine.begins_in))
            told = f"created as {status!r}, expected {expected}"
            yield view.exchange, (Violation(told, f"begins-{status}"),)


def _steps(rule: str) -> Aspect:
    """Pairs of sights whose first status is judged under this name."""

    def judge(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
        for identifier, history in lives(machine, exchanges).items():
            for first, second in proven_pairs(history):
                was, now = status_of(machine, first), status_of(machine, second)
                if was not in machine.states or now not in machine.states:
                    continue
                commands = commands_between(machine, first, second, exchanges)
                unlocked = any(one.operation in commands and was in one.origins for one in machine.unlocks)
                if ("follows" if unlocked else machine.rule_of(was)) != rule:
                    continue
                if now in machine.reachable(was, commands):
                    yield second.exchange, PASSES
                else:
                    told = (
                        f"{second.kind} {identifier}: {now!r} cannot follow {was!r} "
                        f"(seen before in {first.exchange.operation}, exchange {first.exchange.id})"
                    )
                    yield second.exchange, (Violation(told, f"{was}-{now}"),)

    return judge


def _frozen(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
    for identifier, history in lives(machine, exchanges).items():
        for first, second in proven_pairs(history):
            status = status_of(machine, first)
            if status not in machine.terminal or status_of(machine, second) != status:
                continue
            if any(status in one.origins for one in machine.unlocks) and commands_between(
                machine, first, second, exchanges
            ):
                continue
            names = {*first.value, *second.value} - machine.mutable
            yield second.exchange, differences(identifier, first, second, sorted(names), "after its end")


def _constant(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
    for identifier, history in lives(machine, exchanges).items():
        for first, second in proven_pairs(history):
            yield second.exchange, differences(identifier, first, second, machine.constant, "in its life")


def _once(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
    for identifier, history in lives(machine, exchanges).items():
        for first, second in proven_pairs(history):
            held = [name for name in machine.once if first.value.get(name) is not None]
            if held:
                yield second.exchange, differences(identifier, first, second, held, "once it was set")


def differences(
    identifier: str, first: View, second: View, names: Iterable[str], when: str
) -> tuple[Violation, ...]:
    """A violation for each field that differs; an absent field counts as null."""
    return tuple(
        Violation(
            f"{second.kind} {identifier}: {name} changed {when}: "
            f"{_short(first.value.get(name))} became {_short(second.value.get(name))}",
            f"changed-{name}",
            (f"first seen so in {first.exchange.operation}, exchange {first.exchange.id}",),
        )
        for name in names
        if not same(first.value.get(name), second.value.get(name))
    )


def same(one: Any, other: Any) -> bool:
    """Equal as JSON, an absent key as good as null."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(one.get(key), other.get(key)) for key in {*one, *other})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _field(rule: str) -> Aspect:
    def judge(machine: Machine, exchanges: Sequence[Exchange]) -> Iterable[Ruling]:
        wanted = machine.fields.get(rule)
        if wanted is None:
            return
        for view in views(exchanges, *machine.objects):
            status = status_of(machine, view)
            if status in wanted.statuses:
                yield view.exchange, field_holds(wanted, status, view)

    return judge


def field_holds(rule: FieldRule, status: str, view: View) -> Outcome:
    value = view.value.get(rule.field)
    if (value is not None) is rule.wanted:
        return PASSES
    expected = "a value" if rule.wanted else "null"
    told = f"{view.kind} {view.id} is {status!r}: {rule.field} is {_short(value)}, expected {expected}"
    return (Violation(told, f"{rule.field}-{status}"),)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _register(name: str, machine: Machine) -> None:
    aspects: dict[str, Aspect] = {
        "known": _known,
        "begins": _begins,
        "follows": _steps("follows"),
        "absorbs": _steps("absorbs"),
        "frozen": _frozen,
        "constant": _constant,
        "once": _once,
        **{rule: _steps(rule) for rule in machine.rules},
        **{f"fields.{rule}": _field(rule) for rule in machine.fields},
    }
    for aspect, judge in aspects.items():
        sequence(f"lifecycle.{name}.{aspect}")(_bound(name, judge))


def _bound(name: str, judge: Aspect) -> SequenceCheck:
    """The check over the machine as the contract at hand has it, which may be none."""

    def check(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        machine = load_lifecycles(context.contract).get(name)
        return () if machine is None else judge(machine, exchanges)

    return check


for _name, _machine in packaged_lifecycles().items():
    _register(_name, _machine)
