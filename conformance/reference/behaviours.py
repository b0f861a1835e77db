"""Finds and imports every module of behaviours once, so that its handlers are registered."""

from __future__ import annotations

import importlib
import pkgutil

_PLUMBING = frozenset({"__main__", "server", "app", "behaviours", "seed"})
_loaded = False


def load() -> None:
    """Import the sibling modules; every ``@handles`` in them runs. Repeating it does nothing."""
    global _loaded
    if _loaded:
        return
    package = __package__ or "conformance.reference"
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, prefix=f"{package}."):
        if found.name.removeprefix(f"{package}.") not in _PLUMBING:
            importlib.import_module(found.name)
    _loaded = True
