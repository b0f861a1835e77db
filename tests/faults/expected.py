"""The table: each fault of the reference gateway, the operation that shows it, what must catch it.

A fault stands either in CAUGHT or in NOT_YET, and whoever teaches the suite a new trick moves the
fault it now catches from the second to the first.
"""

from __future__ import annotations

from dataclasses import dataclass

ASSISTANT = ("createAssistant", "getAssistant")
CRUD = ("createThread", "getThread", "modifyThread", "deleteThread", "listAssistants")
MESSAGES = ("createMessage", "getMessage")
KEYS = ("postVirtualKeys", "getVirtualKeysSlug", "putVirtualKeysSlug", "getVirtualKeys")
CHAT = ("createChatCompletion",)
RUN = ("createRun", "getRun")


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
    """These operations show the fault, and no requirement speaks of it yet, for this reason."""

    operations: tuple[str, ...]
    reason: str


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
    Row("unauthorised-is-500", GET, ("AUTH-NONE-01", "AUTH-REVOKED-01", "RESP-5XX-01")),
    Row("undocumented-method-is-500", LIST, ("METHOD-01",)),
)

NOT_YET: dict[str, Gap] = {}
