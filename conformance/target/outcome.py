"""What one attempt at a request brought, and the failure that each error of the client stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpcore

from conformance.model import Failure
from conformance.target.wire import Body, BodyError, BodyTooLargeError


@dataclass(slots=True)
class Outcome:
    """What one attempt brought, before redaction."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    http: str = "HTTP/1.1"
    body: bytes = b""
    failure: Failure | None = None
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    connected: bool = False  # on a new connection
    read: Body | None = None

    def fail(self, failure: Failure, detail: str) -> None:
        self.failure, self.detail = failure, " ".join(detail.split())[:500]

    @property
    def media_type(self) -> str:
        value = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        return value.split(";")[0].strip().lower()

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


def has_body(method: str, outcome: Outcome) -> bool:
    return method.upper() != "HEAD" and outcome.status >= 200 and outcome.status not in (204, 304)


def explain(error: Exception, outcome: Outcome, total: float) -> None:
    """Turn what the client raised into the failure it stands for."""
    received = outcome.read.received if outcome.read else 0
    text = str(error) or type(error).__name__
    if isinstance(error, BodyTooLargeError):
        outcome.fail(Failure.ENDLESS, f"cut after {received} bytes: larger than max_body_bytes")
    elif isinstance(error, BodyError):
        outcome.fail(Failure.TRUNCATED if "ends early" in text else Failure.BROKEN, text)
    elif isinstance(error, httpcore.ConnectTimeout):
        outcome.fail(Failure.CONNECT, "no connection within the time limit")
    elif isinstance(error, (httpcore.ConnectError, httpcore.ProxyError, httpcore.UnsupportedProtocol)):
        outcome.fail(Failure.CONNECT, text)
    elif isinstance(error, httpcore.TimeoutException):
        silent = f"silent after {received} bytes of the body" if outcome.status else "no answer"
        outcome.fail(Failure.TIMEOUT, f"{silent} within the time limit")
    elif isinstance(error, TimeoutError):
        if outcome.status:
            outcome.fail(Failure.ENDLESS, f"cut after {received} bytes: the body did not end in time")
        else:
            outcome.fail(Failure.TIMEOUT, f"no answer within {total:g} s")
    elif isinstance(error, httpcore.LocalProtocolError):
        outcome.fail(Failure.REFUSED, f"the request cannot be put on the wire: {text}")
    elif outcome.status and (isinstance(error, httpcore.NetworkError) or "complete message body" in text):
        outcome.fail(Failure.TRUNCATED, f"after {received} bytes: {text}")
    elif isinstance(error, OSError):
        outcome.fail(Failure.CONNECT, text)
    else:
        outcome.fail(Failure.BROKEN, f"{type(error).__name__}: {text}")
