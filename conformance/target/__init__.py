"""The target wing: what the user says about a deployment, the only network client, the evidence."""

from conformance.target.ledger import Entry, Ledger, Summary
from conformance.target.loading import load_target, target_from
from conformance.target.profile import Target, with_known_names
from conformance.target.recording import Recorder, inspect, join, read_evidence
from conformance.target.redaction import Redactor
from conformance.target.session import Outgoing, Sent, Session

__all__ = [
    "Entry",
    "Ledger",
    "Outgoing",
    "Recorder",
    "Redactor",
    "Sent",
    "Session",
    "Summary",
    "Target",
    "inspect",
    "join",
    "load_target",
    "read_evidence",
    "target_from",
    "with_known_names",
]
