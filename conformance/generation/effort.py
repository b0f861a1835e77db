"""How hard to search."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.errors import UsageError


@dataclass(frozen=True, slots=True)
class Effort:
    """Cases per operation, at most: ``valid``, ``invalid`` (of which ``drawn`` by Schemathesis) and
    ``examples``; and the requests one failing case may cost while it is shrunk."""

    name: str
    valid: int
    invalid: int
    drawn: int
    examples: int
    shrink_steps: int

    @property
    def key(self) -> str:
        """What a stored corpus depends on."""
        return f"{self.name}:{self.valid}:{self.invalid}:{self.drawn}:{self.examples}"


EFFORTS = {
    one.name: one
    for one in (
        Effort("smoke", valid=2, invalid=2, drawn=0, examples=1, shrink_steps=8),
        Effort("standard", valid=16, invalid=18, drawn=4, examples=4, shrink_steps=32),
        Effort("deep", valid=60, invalid=60, drawn=20, examples=16, shrink_steps=128),
    )
}


def effort(name: str) -> Effort:
    """The effort of this name. Raises UsageError for any other."""
    try:
        return EFFORTS[name]
    except KeyError:
        raise UsageError(f"no effort named {name!r}", hint=f"known: {', '.join(EFFORTS)}") from None
