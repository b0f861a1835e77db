"""The reference gateway on the wire: routes, keys, validation, error bodies, its life as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from schema_help import assert_valid
from wire import Wire, serving

from conformance.cli.serve import serve_command
from conformance.reference.core import HANDLERS, Answer, Call
from conformance.reference.faults import FAULTS
from conformance.reference.routing import Router
from conformance.reference.schemas import load_document
from conformance.reference.server import Options, Running

CHAT = {"model": "reference-chat", "messages": [{"role": "user", "content": "Hello there"}]}


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
    for url in (
        "/v1/nothing",
        "/files",
        "/v1/files/",
        "/v1//files",
        "/v1/model-configs/pricing/openai/gpt-4",
    ):
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
        assert httpx.get(
            found["base_urls"]["data"] + "/files", headers=found["credentials"]["owner"]
        ).is_success
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
