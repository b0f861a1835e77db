"""Checks by the name a requirement gives, and what a check sees and says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


Check = Callable[[Exchange, Context], Outcome]
_CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a pure function under the name that requirements refer to."""

    def register(function: Check) -> Check:
        if name in _CHECKS:
            raise ValueError(f"two checks named {name}")
        _CHECKS[name] = function
        return function

    return register


def get_check(name: str) -> Check:
    """The check of that name; UnknownNameError where there is none."""
    try:
        return _CHECKS[name]
    except KeyError:
        raise UnknownNameError("check", name, _CHECKS) from None


def known_checks() -> Mapping[str, Check]:
    return dict(_CHECKS)
