"""Stories: sequences of requests that bring a target into states which no single request shows.

Each scenario is a coroutine over a ``Story``, registered by ``@scenario``. It sends; it never judges.
What its answers must be is said by the requirements that its exchanges give occasion to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from conformance.exercise.scenarios.registry import Scenario, registered

__all__ = ["Scenario", "scenarios"]


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Every scenario by name, those of all modules of this package."""
    for module in iter_modules(__path__):
        if module.name not in ("registry", "story"):
            import_module(f"{__name__}.{module.name}")
    return registered()
