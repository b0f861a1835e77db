"""The words every other part uses: small frozen values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """RFC 2119 keyword of a requirement. Only MUST decides a verdict of the whole."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Kind(StrEnum):
    """What a requirement asks for: a check, a mere report, or a duty of the suite itself."""

    JUDGED = "judged"
    OBSERVED = "observed"
    GENERATION = "generation"
    SUITE = "suite"


class Plane(StrEnum):
    """Which base URL serves an operation."""

    DATA = "data"
    CONTROL = "control"
    PUBLIC = "public"


class Verdict(StrEnum):
    """The outcome of one requirement on one operation, worst first (but for the last two)."""

    ERROR = "error"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    PASS = "pass"  # noqa: S105  a verdict, no password
    NOT_APPLICABLE = "not applicable"
    WAIVED = "waived"


class Credential(StrEnum):
    """Who asks."""

    OWNER = "owner"
    OTHER = "other"
    NARROW = "narrow"
    REVOKED = "revoked"
    ABSENT = "absent"


class Purpose(StrEnum):
    """Why a request was sent; a check reads from it what the answer had to be."""

    CANONICAL = "canonical"  # the narrowest honest request
    EXAMPLE = "example"  # an example of the contract, ids rebound
    VALID = "valid"  # generated, valid by the contract
    INVALID = "invalid"  # generated, invalid by the contract
    STREAM = "stream"  # the canonical request, answered as an event stream
    SCENARIO = "scenario"  # a step of a story; the exchange's facts say which
    UNKNOWN_ID = "unknown-id"
    CREDENTIAL = "credential"  # canonical request under a credential that must be refused
    METHOD = "method"  # a method the path does not document
    PREPARE = "prepare"  # makes a resource another request needs
    POLL = "poll"  # waits for a resource
    CLEANUP = "cleanup"
    PREFLIGHT = "preflight"


class Failure(StrEnum):
    """Why an exchange has no complete response."""

    CONNECT = "connect"  # nobody listens, or TLS fails
    TIMEOUT = "timeout"  # no answer within the limit
    BROKEN = "broken"  # reset, or malformed HTTP
    TRUNCATED = "truncated"  # the body ended early
    ENDLESS = "endless"  # cut by us: larger or longer than the limit
    BUDGET = "budget"  # not sent: a budget is used up
    BREAKER = "breaker"  # not sent: too many connection failures in a row
    REFUSED = "refused"  # not sent: the request leaves the hosts the user named, or is not allowed


NOT_SENT = frozenset({Failure.BUDGET, Failure.BREAKER, Failure.REFUSED})
SEVERITY = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method and path of the contract. ``path`` is the template, relative to its plane."""

    id: str
    method: str
    path: str
    group: str
    plane: Plane
    statuses: tuple[str, ...] = ()
    request_media: tuple[str, ...] = ()
    body_required: bool = False
    streaming: bool = False
    websocket: bool = False
    public: bool = False  # needs no credential

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Case:
    """One request before its ids are known.

    ``path``, ``query``, ``headers`` and ``body`` may hold symbols (objects of one key that starts
    with ``$``, see conformance.contract.resources); binding replaces them just before sending.
    ``body`` is a JSON value; for multipart a list of parts ``{"name", "value" | "file"}``;
    ``{"$raw": text}`` is sent as is. ``note`` says of an invalid case what is wrong with it.
    """

    id: str
    operation: str
    purpose: Purpose
    path: Mapping[str, Any] = field(default_factory=dict)
    query: tuple[tuple[str, Any], ...] = ()
    headers: tuple[tuple[str, Any], ...] = ()
    body: Any = None
    has_body: bool = False
    media_type: str | None = None
    note: str = ""
    credential: Credential = Credential.OWNER
    method: str | None = None  # when it is not the operation's own


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent, redacted. ``url`` is absolute; ``body`` is what went over the wire."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, redacted. ``body`` is decoded from its transfer and content coding."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    http_version: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def media_type(self) -> str:
        """The content type in lower case, without parameters; empty when there is none."""
        return (self.header("content-type") or "").split(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it. Times are seconds since the execution began.

    ``item`` is the pytest node id that sent it, ``case`` the id of its case. ``facts`` holds what
    the sender knew and a check needs, such as the parameter that carries an unknown id.
    """

    id: str
    item: str
    operation: str
    purpose: Purpose
    credential: Credential
    request: Request
    started: float
    ended: float
    response: Response | None = None
    failure: Failure | None = None
    detail: str = ""  # of the failure, one line
    case: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One testable statement about a target. ``applies`` names a selector over operations."""

    id: str
    area: str
    level: Level
    kind: Kind
    statement: str
    clause: str
    observe: str
    applies: str = "all"
    operations: tuple[str, ...] = ()
    reason: str = ""
    check: str = ""
    fault: str = ""
    scenarios: tuple[str, ...] = ()  # the stories that give occasion to judge it


@dataclass(frozen=True, slots=True)
class Finding:
    """One observed violation. ``fingerprint`` is equal for equal violations across executions."""

    requirement: str
    level: Level
    operation: str
    exchange: str  # id of the exchange that shows it
    message: str  # one line: got, expected
    details: tuple[str, ...] = ()
    fingerprint: str = ""
    stricter_than_practice: bool = False  # the lenient errata would not raise it


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict of one requirement on one operation, from ``judged`` exchanges."""

    requirement: str
    operation: str
    verdict: Verdict
    judged: int = 0
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def worst(verdicts: list[Verdict] | tuple[Verdict, ...]) -> Verdict:
    """Roll verdicts up: error > fail > inconclusive > pass; of nothing, not applicable."""
    return next((one for one in SEVERITY if one in verdicts), Verdict.NOT_APPLICABLE)
