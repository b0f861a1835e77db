"""What stops an execution. None of these is a verdict about a target.

ConformanceError                 carries a hint that says what to do
├── UsageError                   wrong option or combination (exit 2)
├── ContractError                the contract side is wrong (exit 2)
│   ├── ImportRefusedError       a document the importer will not take
│   ├── OverlayError             an action that matches nothing, or is malformed
│   └── UnknownNameError         no such contract, operation, group, resource, requirement
├── TargetFileError              a mistake in a target file, by key (exit 2)
├── PreflightError               the target refuses our key or answers nothing (exit 3)
└── SuiteError                   the suite itself broke (exit 4)
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ConformanceError(Exception):
    """An error a person reads: ``message`` says what is wrong, ``hint`` what to do about it."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ConformanceError):
    """The command was used in a way that cannot work."""

    exit_code = 2


class ContractError(ConformanceError):
    """The contract documents cannot be used as they are."""

    exit_code = 2


class ImportRefusedError(ContractError):
    """The importer refuses a document; ``source`` names it."""

    def __init__(self, source: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{source}: {message}", hint=hint)
        self.source = source


class OverlayError(ContractError):
    """An overlay action cannot be applied; ``index`` counts from 0, ``target`` is its JSONPath."""

    def __init__(self, index: int, target: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"overlay action {index} ({target}): {message}", hint=hint)
        self.index = index
        self.target = target


class UnknownNameError(ContractError):
    """A name that stands for nothing; the hint offers the nearest names that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names[:12]) or 'none'}"
        super().__init__(f"no {kind} named {name!r}", hint=hint)
        self.kind = kind
        self.name = name


class TargetFileError(ConformanceError):
    """A mistake in a target file; ``key`` is its dotted path."""

    exit_code = 2

    def __init__(self, source: str, key: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{source}: {key}: {message}", hint=hint)
        self.source = source
        self.key = key


class PreflightError(ConformanceError):
    """The target cannot be judged at all: it does not answer, or refuses the owner's key."""

    exit_code = 3


class SuiteError(ConformanceError):
    """The suite broke; never the target's failure."""

    exit_code = 4
