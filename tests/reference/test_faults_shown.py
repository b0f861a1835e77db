"""Every fault the application itself shows is seen on the wire when it is on, and only then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from wire import Wire, events_of, serving

import conformance.reference
from conformance.reference import behaviours
from conformance.reference.deviations import _DEVIATIONS
from conformance.reference.faults import DROPPED, FAULTS, FORGOTTEN
from conformance.reference.runs import IGNORED
from conformance.reference.server import Options, Running, UnknownFaultError

CHAT = {"model": "reference-chat", "messages": [{"role": "user", "content": "Hello there"}]}
SOURCES = Path(conformance.reference.__file__).parent


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving() as found:
        yield found


def test_every_declared_fault_is_shown_somewhere_and_every_shown_one_declared() -> None:
    """An undeclared name could never be switched on; one nobody asks for would change nothing."""
    behaviours.load()
    asked = {*DROPPED, *FORGOTTEN, *IGNORED, *(one.name for one in _DEVIATIONS)}
    for path in SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            node.targets[0].id: node.value.args[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and node.value.args
            and isinstance(node.value.args[0], ast.Constant)
        }  # NAME = declare("name", …)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name not in ("fault", "faulty", "on"):
                    continue
                if isinstance(node.args[0], ast.Constant):
                    asked.add(str(node.args[0].value))
                elif isinstance(node.args[0], ast.Name) and node.args[0].id in named:
                    asked.add(named[node.args[0].id])
    assert asked == set(FAULTS)


def test_an_unknown_fault_is_refused() -> None:
    """A misspelled fault would make every fault test pass."""
    with pytest.raises(UnknownFaultError, match="no-such-fault"):
        Running(Options(faults=("no-such-fault@listFiles",)))


def good(wire: Wire) -> httpx.Response:
    return wire.ask("POST", "/chat/completions", json=CHAT)


def bad(wire: Wire) -> httpx.Response:
    return wire.ask("POST", "/chat/completions", json={"model": 1})


def unknown(wire: Wire) -> httpx.Response:
    return wire.ask("GET", "/files/file-none")


def not_json(response: httpx.Response) -> bool:
    try:
        response.json()
    except ValueError:
        return True
    return False


SHOWN: dict[str, tuple[Any, Any]] = {
    "missing-required-field": (good, lambda r: len(r.json()) == 6),
    "wrong-field-type": (good, lambda r: isinstance(r.json()["choices"], dict)),
    "undocumented-status": (good, lambda r: r.status_code == 299),
    "wrong-content-type": (good, lambda r: r.headers["content-type"].startswith("text/html")),
    "missing-content-type": (good, lambda r: "content-type" not in r.headers),
    "malformed-json": (good, not_json),
    "invalid-utf8": (good, lambda r: b"\xff" in r.content),
    "empty-body": (good, lambda r: r.status_code == 200 and not r.content),
    "refuses-canonical": (good, lambda r: r.status_code == 400),
    "server-error": (good, lambda r: r.status_code == 500),
    "html-error": (bad, lambda r: r.headers["content-type"].startswith("text/html")),
    "error-without-body": (bad, lambda r: r.status_code == 400 and not r.content),
    "error-reveals-key": (bad, lambda r: r.request.headers["x-portkey-api-key"] in r.text),
    "error-as-success": (bad, lambda r: r.status_code == 200 and "error" in r.json()),
    "server-error-on-invalid": (bad, lambda r: r.status_code == 500),
    "redirect-on-invalid": (bad, lambda r: r.status_code == 307 and r.headers["location"]),
    "accepts-invalid": (bad, lambda r: r.status_code == 200),
    "unknown-id-succeeds": (unknown, lambda r: r.status_code == 200),
    "unknown-id-is-500": (unknown, lambda r: r.status_code == 500),
    "unknown-id-is-400": (unknown, lambda r: r.status_code == 400),
    "key-not-checked": (lambda w: w.ask("GET", "/files", who=None), lambda r: r.status_code == 200),
    "revoked-key-accepted": (lambda w: w.ask("GET", "/files", who="revoked"), lambda r: r.status_code == 200),
    "unauthorised-is-500": (lambda w: w.ask("GET", "/files", who=None), lambda r: r.status_code == 500),
    "scope-not-checked": (
        lambda w: w.ask("POST", "/chat/completions", who="narrow", json=CHAT),
        lambda r: r.status_code == 200,
    ),
    "undocumented-method-succeeds": (lambda w: w.ask("PUT", "/files"), lambda r: r.status_code == 200),
    "undocumented-method-is-500": (lambda w: w.ask("PUT", "/files"), lambda r: r.status_code == 500),
    "missing-allow-header": (
        lambda w: w.ask("PUT", "/files"),
        lambda r: r.status_code == 405 and "allow" not in r.headers,
    ),
    "missing-documented-header": (
        lambda w: w.ask("POST", "/audio/speech", json={"model": "m", "input": "a", "voice": "echo"}),
        lambda r: "transfer-encoding" not in r.headers,
    ),
    "list-ignores-limit": (
        lambda w: w.ask("GET", "/models?limit=1"),
        lambda r: len(r.json()["data"]) > 1,
    ),
    "list-ignores-order": (
        lambda w: w.ask("GET", "/models?order=desc"),
        lambda r: r.json()["data"][0]["id"] < r.json()["data"][-1]["id"],
    ),
}


@pytest.mark.parametrize("fault", sorted(SHOWN))
def test_a_fault_shows_where_it_is_on_and_only_there(wire: Wire, fault: str) -> None:
    """The conformant gateway does not show it; with the fault on, the same request does."""
    send, shown = SHOWN[fault]
    assert not shown(send(wire))
    with serving(fault) as faulty:
        assert shown(send(faulty))


def test_a_fault_can_be_kept_to_one_operation() -> None:
    """name@operation leaves every other operation as it is."""
    with serving("server-error@listFiles") as wire:
        assert wire.ask("GET", "/files").status_code == 500
        assert wire.ask("GET", "/models").status_code == 200


def _file(wire: Wire) -> str:
    made = wire.ask("POST", "/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", b"{}")})
    return str(made.json()["id"])


def test_faults_of_state_forget_or_keep() -> None:
    """What is created is gone, what is deleted stays, what is read is old, whose it is does not matter."""
    with serving("create-not-stored@createFile") as wire:
        assert wire.ask("GET", f"/files/{_file(wire)}").status_code == 404
    with serving("delete-not-effective") as wire:
        made = _file(wire)
        assert wire.ask("DELETE", f"/files/{made}").json()["deleted"] is True
        assert wire.ask("GET", f"/files/{made}").status_code == 200
    with serving("stale-get") as wire:
        assert wire.ask("GET", "/files").json()["data"] == []
        _file(wire)
        assert wire.ask("GET", "/files").json()["data"] == []
    with serving("tenants-not-separated") as wire:
        assert wire.ask("GET", f"/files/{_file(wire)}", who="other").status_code == 200
    with serving("update-not-stored") as wire:
        headers = {"OpenAI-Beta": "assistants=v2"}
        made = wire.ask("POST", "/threads", headers=headers, json={}).json()["id"]
        assert wire.ask("GET", f"/threads/{made}", headers=headers).status_code == 200


def test_faults_of_transport_break_the_connection() -> None:
    """A body shorter than stated, one that never ends, an answer that never comes."""
    with serving("truncated-body") as wire, pytest.raises(httpx.RemoteProtocolError):
        wire.ask("GET", "/files")
    with serving("hang-on-invalid", timeout=0.5) as wire, pytest.raises(httpx.ReadTimeout):
        bad(wire)
    with serving("endless-body") as wire:
        size = 0
        with wire.client.stream("GET", wire.data + "/files", headers=wire.headers) as response:
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > 500_000:
                    break
        assert size > 500_000


def stream(wire: Wire) -> httpx.Response:
    return wire.ask("POST", "/chat/completions", json={**CHAT, "stream": True})


def test_faults_of_streams() -> None:
    """No end, broken data, a wrong label, half an event, no stream at all, an open end."""
    with serving("stream-without-end") as wire:
        assert "[DONE]" not in stream(wire).text
    with serving("stream-malformed-event") as wire, pytest.raises(ValueError, match=r"."):
        events_of(stream(wire).text)
    with serving("stream-wrong-content-type") as wire:
        assert stream(wire).headers["content-type"] == "application/json"
    with serving("stream-truncated") as wire:
        assert not stream(wire).text.endswith("\n\n")
    with serving("stream-as-json") as wire:
        assert stream(wire).json()["object"] == "chat.completion"
    with serving("stream-never-ends", timeout=0.5) as wire, pytest.raises(httpx.ReadTimeout):
        stream(wire)
