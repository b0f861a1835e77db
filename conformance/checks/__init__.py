"""Pure checks over recorded exchanges."""

from conformance.checks import lifecycle  # noqa: F401
from conformance.checks.judge import Judge, Judgement
from conformance.checks.registry import known_checks

__all__ = ["Judge", "Judgement", "known_checks"]
