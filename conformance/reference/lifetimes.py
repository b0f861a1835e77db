"""Timed work: which stage something has reached, computed from when it began."""

from __future__ import annotations

from collections.abc import Sequence

from .core import Call

Stage = tuple[str, float]  # name, seconds after the beginning at which it is entered


def reached(call: Call, began: float, stages: Sequence[Stage], now: float) -> dict[str, int]:
    """The stages entered so far, in order → the Unix second each was entered.

    ``began`` and ``now`` are Unix seconds with fractions; the gateway's speed stretches every stage.
    """
    speed = call.gateway.speed
    return {name: int(began + after * speed) for name, after in stages if now >= began + after * speed}
