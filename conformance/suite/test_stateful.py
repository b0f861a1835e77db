"""Requests in any order, legal or not, drawn by a state machine: what no story was written for.

What is drawn and sent is told in conformance.exercise.machine. All that the requirements of stories say
must hold throughout; a sequence that breaks one is made shorter and printed step by step.
"""

from __future__ import annotations

import pytest

from conformance.exercise.worker import ItemReport
from conformance.plugin import must_hold


@pytest.mark.concern("stateful")
def test_any_order(operation: str, exercised: ItemReport) -> None:
    """Whatever the order of the requests, the lives of threads, messages and runs keep to their rules."""
    must_hold(exercised)
