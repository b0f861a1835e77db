"""Checks by the name a requirement gives, and what a check sees and says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.contract import Contract, Validators
from conformance.errors import UnknownNameError
from conformance.model import Exchange, Operation


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with an exchange: ``message`` got and expected, ``kind`` stable for equal faults."""

    message: str
    kind: str
    details: tuple[str, ...] = ()
    stricter_than_practice: bool = False


@dataclass(frozen=True, slots=True)
class Undecided:
    """The exchange should have been judged and could not be, for this reason."""

    reason: str


#: None: the check does not speak of this exchange; empty: it passes.
Outcome = Sequence[Violation] | Undecided | None
PASSES: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class Context:
    """What every check may consult: the contract, its validators, and those of the lenient errata."""

    contract: Contract
    validators: Validators
    practice: Callable[[], Validators]

    def operation(self, exchange: Exchange) -> Operation:
        return self.contract.operation(exchange.operation)


#: What a check says of one exchange among several.
Ruling = tuple[Exchange, Outcome]
Check = Callable[[Exchange, Context], Outcome]
SequenceCheck = Callable[[Sequence[Exchange], Context], Iterable[Ruling]]
_CHECKS: dict[str, SequenceCheck] = {}
_SINGLE: dict[str, Check] = {}  # those among them that look at one exchange at a time


def check(name: str) -> Callable[[Check], Check]:
    """Register a pure function over single exchanges under the name that requirements refer to."""

    def register(function: Check) -> Check:
        def each(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
            return ((exchange, function(exchange, context)) for exchange in exchanges)

        _add(name, each)
        _SINGLE[name] = function
        return function

    return register


def sequence(name: str) -> Callable[[SequenceCheck], SequenceCheck]:
    """Register a pure function over all exchanges of one item, in the order sent.

    It yields a ruling for each exchange it can speak of; a ruling belongs to the operation that the
    exchange answered.
    """

    def register(function: SequenceCheck) -> SequenceCheck:
        _add(name, function)
        return function

    return register


def _add(name: str, function: SequenceCheck) -> None:
    if name in _CHECKS:
        raise ValueError(f"two checks named {name}")
    _CHECKS[name] = function


def get_check(name: str) -> SequenceCheck:
    """The check of that name, over the exchanges of one item; UnknownNameError where there is none."""
    try:
        return _CHECKS[name]
    except KeyError:
        raise UnknownNameError("check", name, _CHECKS) from None


def single_check(name: str) -> Check | None:
    """The check of that name when it looks at one exchange at a time."""
    return _SINGLE.get(name)


def known_checks() -> Mapping[str, SequenceCheck]:
    return dict(_CHECKS)
