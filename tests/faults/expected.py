"""The table: each fault of the reference gateway, the operation that shows it, what must catch it.

A fault stands either in CAUGHT or in NOT_YET, or it is the fault of a requirement that has scenarios
(then tests/areas show it caught), and whoever teaches the suite a new trick moves the
fault it now catches from the second to the first.
"""

from __future__ import annotations

from dataclasses import dataclass

ASSISTANT = ("createAssistant", "getAssistant")
CRUD = ("createThread", "getThread", "modifyThread", "deleteThread", "listAssistants")
KEYS = ("postVirtualKeys", "getVirtualKeysSlug", "putVirtualKeysSlug", "getVirtualKeys")
RUN = ("createRun", "getRun")
STEPS = ("getRunStep",)  # of a completed run


@dataclass(frozen=True)
class Row:
    """``fault`` on ``operation`` alone fails these requirements there, and nothing anywhere else.

    ``beside``: further operations that are exercised and must stay clean. ``silent``: the gateway
    stops answering. ``header``: needs a contract that requires a header.
    """

    fault: str
    operation: str
    caught: tuple[str, ...]
    beside: tuple[str, ...] = ("getAssistant",)
    silent: bool = False
    header: bool = False


@dataclass(frozen=True)
class Gap:
    """These operations show the fault, and no requirement speaks of it yet, for this reason.

    ``stopped``: further operations that the fault leaves inconclusive, which is no finding.
    ``unasked``: the suite sends nothing at all that would show the fault.
    """

    operations: tuple[str, ...]
    reason: str
    stopped: tuple[str, ...] = ()
    unasked: bool = False


CREATE, GET, LIST = "createAssistant", "getAssistant", "listAssistants"

CAUGHT = (
    # faults that a requirement names
    Row("refuses-canonical", CREATE, ("OP-CANON-01", "OP-EXAMPLE-01", "OP-VALID-01")),
    Row("stream-as-json", "createChatCompletion", ("OP-STREAM-01",)),
    Row("undocumented-status", CREATE, ("RESP-STATUS-01", "OP-CANON-01")),
    Row("server-error", CREATE, ("RESP-5XX-01", "OP-CANON-01")),
    Row("truncated-body", CREATE, ("RESP-HTTP-01", "OP-CANON-01")),
    Row("wrong-content-type", CREATE, ("RESP-TYPE-01", "OP-CANON-01")),
    Row("missing-required-field", CREATE, ("RESP-BODY-01", "OP-CANON-01")),
    Row("missing-documented-header", "listModels", ("RESP-HEADER-01", "OP-CANON-01"), header=True),
    Row("server-error-on-invalid", CREATE, ("NEG-ROBUST-01",)),
    Row("accepts-invalid", CREATE, ("NEG-REJECT-01",)),
    Row("error-without-body", CREATE, ("NEG-ERROR-01",)),
    Row("unknown-id-succeeds", GET, ("ID-UNKNOWN-01",)),
    Row("key-not-checked", GET, ("AUTH-NONE-01",)),
    Row("revoked-key-accepted", GET, ("AUTH-REVOKED-01",)),
    Row("undocumented-method-succeeds", LIST, ("METHOD-01",)),
    # faults nobody wrote a requirement for, which the general checks catch all the same
    Row("malformed-json", CREATE, ("RESP-BODY-01",)),
    Row("invalid-utf8", CREATE, ("RESP-BODY-01",)),
    Row("empty-body", CREATE, ("RESP-BODY-01",)),
    Row("wrong-field-type", CREATE, ("RESP-BODY-01",)),
    Row("missing-content-type", CREATE, ("RESP-TYPE-01",)),
    Row("endless-body", CREATE, ("RESP-HTTP-01",)),
    Row("html-error", GET, ("RESP-TYPE-01", "NEG-ERROR-01")),
    Row("error-as-success", GET, ("NEG-REJECT-01", "ID-UNKNOWN-01", "AUTH-NONE-01", "RESP-BODY-01")),
    Row("redirect-on-invalid", CREATE, ("NEG-ROBUST-01", "RESP-STATUS-01")),
    Row("hang-on-invalid", CREATE, ("NEG-ROBUST-01",), beside=(), silent=True),
    Row("unknown-id-is-500", GET, ("ID-UNKNOWN-01", "RESP-5XX-01")),
    Row("unknown-id-is-400", GET, ("ID-UNKNOWN-01",)),
    Row("unauthorised-is-500", GET, ("AUTH-NONE-01", "AUTH-REVOKED-01")),
    Row("undocumented-method-is-500", LIST, ("METHOD-01",)),
    Row("stream-malformed-event", "createChatCompletion", ("OP-STREAM-01", "RESP-BODY-01")),
    Row("stream-without-end", "createChatCompletion", ("CHS-01",)),
    Row("stream-truncated", "createChatCompletion", ("OP-STREAM-01", "RESP-BODY-01")),
    Row("stream-wrong-content-type", "createChatCompletion", ("OP-STREAM-01",)),
    Row("stream-never-ends", "createChatCompletion", ("RESP-HTTP-01",), beside=(), silent=True),
    Row("realtime-silent", "connectRealtime", ("RESP-HTTP-01",), beside=(), silent=True),
)

# Caught, but not where the fault is: the operation that no longer finds the resource is the one
# that answers wrongly. Fault → operations exercised, what must fail and on which of them.
CAUGHT_ELSEWHERE = {
    "create-not-stored": (ASSISTANT, {"getAssistant": "OP-CANON-01"}),
}

_SEQUENCE = "judged one exchange at a time, nothing compares this answer with an earlier request"
_PAGES = "pages of the control plane are valid by their schema; nothing counts them"
_LIFECYCLE = "the run object is valid by its schema; nothing judges the states of a run"
_TENANTS = "only absent and revoked keys are tried, no other tenant's and no narrow one"

# Further faults that tests/areas show caught, beside the one that each requirement there names.
CAUGHT_IN_AREAS = (
    "forgotten-cursor",
    "list-ignores-cursor",
    "thread-created-again",
    "transcript-takes-idle-granularities",
)

NOT_YET = {
    "stale-get": Gap(CRUD, _SEQUENCE),
    "update-not-stored": Gap(KEYS, _SEQUENCE),
    "update-forgotten": Gap(KEYS, _SEQUENCE),
    "update-resets-others": Gap(KEYS, _SEQUENCE),
    "delete-keeps-resource": Gap((*KEYS, "deleteVirtualKeysSlug"), _SEQUENCE),
    "list-omits-created": Gap(KEYS, _SEQUENCE),
    "stale-list": Gap(KEYS, _SEQUENCE),
    "secret-shown-again": Gap(KEYS, "a secret is a string like any other to the schema"),
    "error-reveals-key": Gap(ASSISTANT, "an error body may hold more; none is searched for the key"),
    "wrong-total": Gap(KEYS, _PAGES),
    "scope-not-checked": Gap(ASSISTANT, _TENANTS, unasked=True),
    "tenants-not-separated": Gap(ASSISTANT, _TENANTS),
    "cross-tenant-read": Gap(KEYS, _TENANTS),
    "missing-allow-header": Gap(("listAssistants",), "a 405 is accepted without looking at its headers"),
    "steps-empty": Gap((*RUN, "listRunSteps"), _LIFECYCLE),
}
