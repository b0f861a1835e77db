"""Scenarios by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from conformance.exercise.scenarios.story import Story

Tell = Callable[[Story], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """A story. ``operation`` is the one it is reported under, ``operations`` all whose requirements it
    gives occasion to judge; ``needs`` are capabilities and model roles without which it cannot be told;
    ``serial`` ones touch what a whole tenant shares."""

    name: str
    operation: str
    operations: tuple[str, ...]
    tell: Tell
    needs: tuple[str, ...] = ()
    serial: bool = False

    @property
    def title(self) -> str:
        return (self.tell.__doc__ or self.name).strip().splitlines()[0]


_SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str, *operations: str, needs: tuple[str, ...] = (), serial: bool = False
) -> Callable[[Tell], Tell]:
    """Register a coroutine as the scenario ``name``; the first of ``operations`` is its principal one."""

    def register(tell: Tell) -> Tell:
        if name in _SCENARIOS:
            raise ValueError(f"two scenarios named {name}")
        _SCENARIOS[name] = Scenario(name, operations[0], operations, tell, needs, serial)
        return tell

    return register


def registered() -> Mapping[str, Scenario]:
    return dict(_SCENARIOS)
