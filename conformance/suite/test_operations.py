"""Every operation, one item for each concern. What an item sends is told in conformance.exercise.jobs;
what its answers must be, in the requirements that its marker names.

Whatever else an item is about, every response it meets is judged for status, content type, headers
and body (RESP-*), also those to requests that merely prepare or clean up.
"""

from __future__ import annotations

import pytest

from conformance.exercise.worker import ItemReport
from conformance.plugin import must_hold


@pytest.mark.concern("canonical", "OP-CANON-01")
def test_canonical(operation: str, exercised: ItemReport) -> None:
    """The narrowest honest request succeeds with a documented 2xx that conforms."""
    must_hold(exercised)


@pytest.mark.concern("stream", "OP-STREAM-01")
def test_stream(operation: str, exercised: ItemReport) -> None:
    """The narrowest honest request with ``stream: true`` is answered by a valid event stream."""
    must_hold(exercised)


@pytest.mark.concern("examples", "OP-EXAMPLE-01")
def test_examples(operation: str, exercised: ItemReport) -> None:
    """The contract's own example requests, their ids rebound, are accepted."""
    must_hold(exercised)


@pytest.mark.concern("valid", "OP-VALID-01")
def test_valid(operation: str, exercised: ItemReport) -> None:
    """Requests generated from the contract are answered as documented."""
    must_hold(exercised)


@pytest.mark.concern("invalid", "NEG-ROBUST-01", "NEG-REJECT-01", "NEG-ERROR-01")
def test_invalid(operation: str, exercised: ItemReport) -> None:
    """Requests that violate the contract get a 4xx with an error body; never a 5xx, redirect or hang."""
    must_hold(exercised)


@pytest.mark.concern("unknown-id", "ID-UNKNOWN-01")
def test_unknown_id(operation: str, exercised: ItemReport) -> None:
    """An id that stands for nothing is not found."""
    must_hold(exercised)


@pytest.mark.concern("absent", "AUTH-NONE-01")
def test_no_credential(operation: str, exercised: ItemReport) -> None:
    """A request without a credential is refused."""
    must_hold(exercised)


@pytest.mark.concern("revoked", "AUTH-REVOKED-01")
def test_revoked_credential(operation: str, exercised: ItemReport) -> None:
    """A request under a revoked credential is refused."""
    must_hold(exercised)


@pytest.mark.concern("method", "METHOD-01")
def test_undocumented_method(operation: str, exercised: ItemReport) -> None:
    """A method that the path does not document is refused."""
    must_hold(exercised)
