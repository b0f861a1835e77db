"""Stories over several requests: lives of objects, streams, lists. Each is told in
``conformance.exercise.scenarios``; what its answers must be is said by the requirements of
``specs/<contract>/requirements/``.
"""

from __future__ import annotations

import pytest

from conformance.exercise.worker import ItemReport
from conformance.plugin import must_hold


@pytest.mark.concern("scenario")
def test_scenario(scenario: str, exercised: ItemReport) -> None:
    """The story is told to its end, and nothing it shows breaks a requirement."""
    must_hold(exercised)
