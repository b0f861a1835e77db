"""The reference gateway on the wire: routes, keys, validation, error bodies, faults, its life as a process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from schema_help import assert_valid
from wire import Wire, events_of, serving

import conformance.reference
from conformance.cli.serve import serve_command
from conformance.reference.core import HANDLERS, Answer, Call
from conformance.reference.faults import DROPPED, FAULTS, FORGOTTEN
from conformance.reference.server import Options, Running, UnknownFaultError
from conformance.reference.validation import Router, load_document

CHAT = {"model": "reference-chat", "messages": [{"role": "user", "content": "Hello there"}]}
SOURCES = Path(conformance.reference.__file__).parent


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serving() as found:
        yield found


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    error: dict[str, Any] = response.json()["error"]
    assert error["message"]
    return error


# routes


def test_every_operation_of_the_contract_has_a_behaviour(wire: Wire) -> None:
    """No operation may be missing, and no behaviour may belong to none."""
    assert set(HANDLERS) == set(Router(load_document()).endpoints)


def test_an_unknown_path_is_not_found(wire: Wire) -> None:
    """Outside the contract there is nothing: wrong names, a missing base, trailing and doubled slashes."""
    for url in ("/v1/nothing", "/files", "/v1/files/", "/v1//files", "/v1/model-configs/pricing/openai/gpt-4"):
        response = wire.client.get(wire.root + url, headers=wire.headers)
        assert response.status_code == 404, url
        assert error_of(response)["code"] == "unknown_path"


def test_an_undocumented_method_is_refused_and_the_documented_ones_named(wire: Wire) -> None:
    """405 with Allow, for every method a path does not document."""
    for method in ("PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "MADEUP"):
        response = wire.ask(method, "/files/file-1")
        assert response.status_code == 405
        assert response.headers["allow"] == "DELETE, GET"


def test_a_literal_segment_wins_over_a_parameter(wire: Wire) -> None:
    """/prompts/partials and /logs/exports are lists, never ids."""
    assert isinstance(wire.ask("GET", "/prompts/partials").json(), list | dict)
    assert wire.ask("GET", "/prompts/partials").status_code == 200
    assert wire.ask("GET", "/logs/exports").status_code == 200


def test_an_id_may_hold_an_encoded_slash(wire: Wire) -> None:
    """%2F belongs to the id; it does not split the path."""
    response = wire.ask("GET", "/models/some%2Fmodel")
    assert response.status_code == 404
    assert "some/model" in error_of(response)["message"]


def test_prices_are_public_and_live_at_the_root(wire: Wire) -> None:
    """No key, no /v1; an unknown model is 404 with the body the contract documents."""
    known = httpx.get(wire.root + "/model-configs/pricing/openai/gpt-4")
    assert known.status_code == 200
    assert_valid("getModelPricing", 200, known.json())
    unknown = httpx.get(wire.root + "/model-configs/pricing/openai/nothing")
    assert (unknown.status_code, unknown.json()) == (404, {"error": "Model not found"})


# keys


@pytest.mark.parametrize("path", ["/files", "/assistants", "/admin/workspaces", "/virtual-keys"])
def test_a_key_is_needed(wire: Wire, path: str) -> None:
    """Absent, unknown and revoked keys get 401, before anything else is looked at."""
    assert wire.ask("GET", path, who=None).status_code == 401
    assert wire.ask("GET", path, who=None, headers={"x-portkey-api-key": "nobody"}).status_code == 401
    assert wire.ask("GET", path, who="revoked").status_code == 401
    assert wire.ask("POST", "/chat/completions", who=None, content=b"{").status_code == 401


def test_the_bearer_form_of_a_key_is_taken(wire: Wire) -> None:
    """OpenAI clients send Authorization: Bearer; other schemes are no key."""
    key = wire.headers["x-portkey-api-key"]
    assert wire.ask("GET", "/files", who=None, headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert wire.ask("GET", "/files", who=None, headers={"authorization": f"Basic {key}"}).status_code == 401


def test_a_narrow_key_reads_and_does_not_write(wire: Wire) -> None:
    """Its reads answer, its writes are forbidden."""
    assert wire.ask("GET", "/files", who="narrow").status_code == 200
    refused = wire.ask("POST", "/chat/completions", who="narrow", json=CHAT)
    assert refused.status_code == 403
    assert error_of(refused)["code"] == "insufficient_permissions"


def test_what_one_tenant_makes_no_other_sees(wire: Wire) -> None:
    """Another tenant gets 404 for the id, and a list without it."""
    made = wire.ask("POST", "/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", b"{}")}).json()
    assert wire.ask("GET", f"/files/{made['id']}", who="other").status_code == 404
    assert made["id"] not in wire.ask("GET", "/files", who="other").text
    assert made["id"] in wire.ask("GET", "/files").text


# validation


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"model": NaN}',
        b'{"model": 1e999}',
        b'{"model": "\\ud800", "messages": [{"role": "user", "content": "a"}]}',
        b'{"model": "\xff"}',
        b"[" * 200_000,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b'{"model": "m", "messages": [], "n": ' + b"9" * 5000 + b"}",
        b'{"model": "m", "messages": [{"role": "user", "content": "a"}], "n": "two"}',
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_a_bad_body_is_a_bad_request(wire: Wire, raw: bytes) -> None:
    """Malformed, mistyped, too deep, not a number, half a character: 400 with an error body, never 500."""
    response = wire.json("/chat/completions", raw)
    assert response.status_code == 400
    assert_valid("createChatCompletion", 400, response.json())
    assert error_of(response)["type"] == "invalid_request_error"


def test_another_content_type_is_unsupported(wire: Wire) -> None:
    """415 for text, forms and no type at all where JSON is documented; the reverse for uploads."""
    for kind in ({"content-type": "text/plain"}, {"content-type": "multipart/form-data; boundary=x"}, {}):
        assert wire.ask("POST", "/chat/completions", content=b"{}", headers=kind).status_code == 415
    assert wire.ask("POST", "/files", json={"purpose": "batch"}).status_code == 415


def test_a_broken_form_is_a_bad_request(wire: Wire) -> None:
    """No boundary, no parts, a missing file, an unknown field, a wrong value."""
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        assert wire.ask("POST", "/files", content=b"junk", headers={"content-type": kind}).status_code == 400
    upload = {"file": ("a.txt", b"a")}
    assert wire.ask("POST", "/files", data={"purpose": "batch"}, files={"other": b"x"}).status_code == 400
    assert wire.ask("POST", "/files", data={"purpose": "nothing"}, files=upload).status_code == 400
    assert wire.ask("POST", "/files", data={"purpose": "batch", "more": "1"}, files=upload).status_code == 400


def test_a_body_past_the_limit_is_too_large(wire: Wire) -> None:
    """413 from the stated length alone, without reading it."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n"
    key = f"x-portkey-api-key: {wire.headers['x-portkey-api-key']}\r\n\r\n".encode()
    assert wire.raw(head + key, timeout=1).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=ten", "limit=1.5", "limit=", "order=up", "limit=1&limit=2", "after=%ff"],
)
def test_query_values_are_typed_and_bounded(wire: Wire, query: str) -> None:
    """Outside its schema a query value is a bad request."""
    response = wire.ask("GET", f"/assistants?{query}", headers={"OpenAI-Beta": "assistants=v2"})
    assert response.status_code == 400


def test_an_unknown_query_parameter_is_ignored(wire: Wire) -> None:
    """Only what the contract names is judged."""
    assert wire.ask("GET", "/files?utm=1&utm=2").status_code == 200


def test_a_required_header_is_required(wire: Wire) -> None:
    """Assistants need OpenAI-Beta, with its one value."""
    assert wire.ask("GET", "/assistants").status_code == 400
    assert wire.ask("GET", "/assistants", headers={"OpenAI-Beta": "assistants=v1"}).status_code == 400


def test_strange_paths_are_bad_requests(wire: Wire) -> None:
    """NUL and bytes that are not UTF-8."""
    assert wire.ask("GET", "/files/a%00b").status_code == 400
    assert wire.ask("GET", "/files/%ff%fe").status_code == 400


def test_each_refusal_has_the_body_its_operation_documents(wire: Wire) -> None:
    """The OpenAI envelope on the data plane, the documented ones where an operation has its own."""
    missing = wire.ask("DELETE", "/responses/resp_none")
    assert_valid("deleteResponse", 404, missing.json())
    for path, operation in (("/virtual-keys/none", "getVirtualKeysSlug"), ("/labels/none", "getLabel")):
        for who in ("owner", None):
            response = wire.ask("GET", path, who=who)
            assert response.status_code in (400, 401, 404)
            assert_valid(operation, response.status_code, response.json())


def test_a_failing_behaviour_is_an_honest_500(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks inside is answered with an error body, without its text."""

    def broken(call: Call) -> Answer:
        raise KeyError("secret detail")

    monkeypatch.setitem(HANDLERS, "listFiles", broken)
    response = wire.ask("GET", "/files")
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert error_of(response)["code"] == "internal_error"


def test_a_trace_id_comes_back(wire: Wire) -> None:
    """The one sent, or a new one on every answer."""
    sent = wire.ask("GET", "/files", headers={"x-portkey-trace-id": "mine"})
    assert sent.headers["x-portkey-trace-id"] == "mine"
    assert len({wire.ask("GET", "/files").headers["x-portkey-trace-id"] for _ in range(3)}) == 3


# faults


def test_every_declared_fault_is_shown_somewhere_and_every_shown_one_declared() -> None:
    """An undeclared name could never be switched on; one nobody asks for would change nothing."""
    asked = {*DROPPED, *FORGOTTEN}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("fault", "faulty", "on"):
                    asked.add(node.args[0].value)
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
    with serving("hang-on-invalid") as wire, pytest.raises(httpx.ReadTimeout):
        wire.client.timeout = httpx.Timeout(0.5)
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
    with serving("stream-never-ends") as wire, pytest.raises(httpx.ReadTimeout):
        wire.client.timeout = httpx.Timeout(0.3)
        stream(wire)


# its life


def test_latency_is_added_to_every_answer() -> None:
    """A slowed gateway takes at least so long, refusals included."""
    with serving(latency=0.15) as wire:
        for who in ("owner", None):
            began = time.monotonic()
            wire.ask("GET", "/files", who=who)
            assert time.monotonic() - began >= 0.15


def launched(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "conformance.reference", "--port", "0", "--announce", *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def announced(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def test_a_process_announces_itself_once_and_ends_on_sigterm() -> None:
    """One JSON line with all a target file needs; keys differ between launches; exit code 0."""
    keys: set[str] = set()
    for _ in range(2):
        process = launched()
        found = announced(process)
        assert httpx.get(found["base_urls"]["data"] + "/files", headers=found["credentials"]["owner"]).is_success
        assert {"owner", "other", "narrow", "revoked"} == set(found["credentials"])
        assert {"user", "log", "organisation", "disposable_model", "metadata_key"} <= set(found["given"])
        assert {"chat", "embedding", "image", "speech", "transcription", "moderation"} <= set(found["models"])
        assert found["pid"] == process.pid
        keys |= {one["x-portkey-api-key"] for one in found["credentials"].values()}
        process.terminate()
        rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (0, "", "")
    assert len(keys) == 8


def test_a_process_ends_when_its_parent_lets_go() -> None:
    """With --die-with-parent the end of standard input is the end of the gateway."""
    process = launched("--die-with-parent")
    announced(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_seed_fixes_the_keys() -> None:
    """The same seed gives the same keys, another one others."""
    found = [Running(Options(seed=seed)).announcement["credentials"] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_the_command_explains_its_mistakes() -> None:
    """A misspelled fault and a taken port are one line each; --list-faults lists them all."""
    runner = CliRunner()
    listed = runner.invoke(serve_command, ["--list-faults"])
    assert listed.exit_code == 0
    assert {line.split()[0] for line in listed.output.splitlines()} == set(FAULTS)
    wrong = runner.invoke(serve_command, ["--fault", "no-such-fault", "--port", "0"])
    assert wrong.exit_code == 2
    assert "no-such-fault" in wrong.output
    with serving() as wire:
        taken = runner.invoke(serve_command, ["--port", wire.root.rpartition(":")[2]])
    assert taken.exit_code == 1
    assert "cannot serve" in taken.output
