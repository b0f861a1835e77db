"""The files of a group: JUnit, HAR, findings, and the commands that repeat a finding."""

from __future__ import annotations

import base64
import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from conformance.model import Credential, Exchange, Failure, Kind, Level, Operation, Plane, Requirement
from conformance.reporting import har
from conformance.reporting.allure_labels import labels
from conformance.reporting.curl import curl_command, run_command
from conformance.reporting.junit import junit
from conformance.reporting.report import write_report
from conformance.reporting.results import ContractFacts, Execution, MemoryEvidence
from conformance.reporting.scorecard import scorecard

Make = Callable[..., Execution]
MakeExchange = Callable[..., Exchange]


@pytest.fixture(scope="module")
def written(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(make(bad=0.05), folder)


def test_junit_of_each_group_counts_what_the_scorecard_counts(written: tuple[Path, dict[str, Any]]) -> None:
    """A CI that reads junit.xml must see the same failures and the same skips."""
    folder, card = written
    for group in card["groups"]:
        document: Any = JUnitXml.fromfile(str(folder / "groups" / group["slug"] / "junit.xml"))
        counts = group["counts"]
        assert document.tests == group["units"]["total"]
        assert document.failures == counts["fail"]
        assert document.errors == counts["error"]
        assert document.skipped == document.tests - counts["pass"] - counts["fail"] - counts["error"]


def test_a_skip_says_which_word_and_why(written: tuple[Path, dict[str, Any]]) -> None:
    """Inconclusive must never be mistaken for not applicable: the message begins with the word."""
    folder, _ = written
    said = set()
    for path in folder.glob("groups/*/junit.xml"):
        root = ElementTree.fromstring(path.read_bytes())
        said |= {one.get("message", "").split(":")[0] for one in root.iter("skipped")}
    assert said == {"inconclusive", "not applicable", "waived", "stricter than practice"}


def test_findings_file_holds_the_evidence(written: tuple[Path, dict[str, Any]]) -> None:
    """Each listed finding must come with what was sent, what was answered and both commands."""
    folder, card = written
    group = next(one for one in card["groups"] if one["findings"])
    document = json.loads((folder / "groups" / group["slug"] / "findings.json").read_text(encoding="utf-8"))
    assert document["total"] == document["listed"] == group["findings"]
    for one in document["findings"]:
        assert one["evidence"]["curl"].startswith("curl ")
        assert one["reproduce"].startswith("conformance run ")
        assert one["evidence"]["status"] or one["evidence"]["failure"]


def test_har_is_complete_and_keeps_what_shows_a_finding(written: tuple[Path, dict[str, Any]]) -> None:
    """Every field HAR 1.2 demands must be there; no exchange of a finding may be left out."""
    folder, card = written
    for group in card["groups"]:
        log = json.loads((folder / "groups" / group["slug"] / "exchanges.har").read_text(encoding="utf-8"))[
            "log"
        ]
        assert log["version"] == "1.2"
        assert set(log["creator"]) == {"name", "version"}
        for entry in log["entries"]:
            _assert_entry(entry)
        wanted = {one["exchange"] for one in card["findings"]["list"] if one["group"] == group["name"]}
        assert wanted <= {entry["_exchange"] for entry in log["entries"]}


def _assert_entry(entry: dict[str, Any]) -> None:
    assert datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
    assert entry["time"] == sum(entry["timings"][name] for name in ("send", "wait", "receive"))
    assert entry["cache"] == {}
    request, response = entry["request"], entry["response"]
    always = {"httpVersion", "cookies", "headers", "headersSize", "bodySize"}
    assert always | {"method", "url", "queryString"} <= set(request)
    assert always | {"status", "statusText", "content", "redirectURL"} <= set(response)
    assert {"size", "mimeType"} <= set(response["content"])


def test_har_bounds_its_entries_and_says_so(make_exchange: MakeExchange) -> None:
    """Of 50 exchanges of one operation, the first 10 and the one that failed must stay, 39 be counted."""
    sent = [make_exchange(f"e{at}") for at in range(50)]
    kept, left_out = har.select(sent, frozenset({"e44"}))
    assert [one.id for one in kept] == [*(f"e{at}" for at in range(10)), "e44"]
    assert left_out == 39


def test_har_carries_bytes_and_failures(make_exchange: MakeExchange) -> None:
    """A binary body must survive as base64; an exchange without response must still be an entry."""
    body = b"\x00\xff\xfe"
    sent = [make_exchange("e1", answer=body), make_exchange("e2", failure=Failure.TIMEOUT)]
    first, second = har.archive(sent, began="2026-01-01T00:00:00+00:00")["log"]["entries"]
    assert first["response"]["content"]["encoding"] == "base64"
    assert base64.b64decode(first["response"]["content"]["text"]) == body
    assert second["response"]["status"] == 0
    assert "timeout" in second["response"]["_error"]
    assert first["request"]["queryString"] == [
        {"name": "limit", "value": "2"},
        {"name": "order", "value": "asc"},
    ]
    assert first["startedDateTime"] == "2026-01-01T00:00:01.500+00:00"


def _words(command: str, tmp_path: Path, **environment: str) -> tuple[list[str], bytes]:
    """What the shell really hands to curl: its arguments, and its standard input."""
    stub = tmp_path / "curl"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > "{tmp_path}/args"\ncat > "{tmp_path}/stdin"\n')
    stub.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    subprocess.run(
        ["sh", "-c", command], check=True, env={"PATH": path, **environment}, stdin=subprocess.DEVNULL
    )
    return (tmp_path / "args").read_text(encoding="utf-8").split("\0")[:-1], (tmp_path / "stdin").read_bytes()


def test_curl_sends_the_same_request(make_exchange: MakeExchange, tmp_path: Path) -> None:
    """Quotes, dollars, backticks and at-signs must reach curl untouched, and run nothing."""
    body = b'@{"text": "it\'s $HOME `id` $(touch pwned) \\\\ \\n"}'
    command = curl_command(make_exchange(body=body, url="http://h/v1/x?a[]=$(touch pwned)&b='"))
    words, _ = _words(command, tmp_path, OWNER_KEY="sk-1")
    assert words[words.index("--data-raw") + 1].encode() == body
    assert "http://h/v1/x?a[]=$(touch pwned)&b='" in words
    assert "--globoff" in words
    assert words[words.index("-X") + 1] == "POST"
    assert not list(Path.cwd().glob("pwned")) + list(tmp_path.glob("pwned"))


@pytest.mark.parametrize(
    ("header", "credential", "expected"),
    [
        (("authorization", "Bearer [[owner]]"), Credential.OWNER, "authorization: Bearer sk-1"),
        (("x-portkey-api-key", "[[other]]"), Credential.OTHER, "x-portkey-api-key: sk-2"),
        (("x-custom", "a [[secret:1f2e]] b"), Credential.OWNER, "x-custom: a sk-3 b"),
        (("authorization", "Bearer never-redacted"), Credential.REVOKED, "authorization: Bearer sk-4"),
        (("x-empty", ""), Credential.OWNER, "x-empty;"),
        (("x-list", "[[1]] [[true]]"), Credential.OWNER, "x-list: [[1]] [[true]]"),
    ],
)
def test_secrets_come_from_the_environment(
    make_exchange: MakeExchange,
    tmp_path: Path,
    header: tuple[str, str],
    credential: Credential,
    expected: str,
) -> None:
    """No secret may stand in the command; the variable named for its owner takes its place."""
    command = curl_command(make_exchange(headers=(header,), credential=credential, body=b"", method="GET"))
    words, _ = _words(
        command, tmp_path, OWNER_KEY="sk-1", OTHER_KEY="sk-2", SECRET_1F2E="sk-3", REVOKED_KEY="sk-4"
    )
    assert words[words.index("-H") + 1] == expected
    assert "never-redacted" not in command


def test_placeholders_in_url_and_body_become_variables(make_exchange: MakeExchange, tmp_path: Path) -> None:
    """A redacted secret inside a URL or a body must be filled in too."""
    sent = make_exchange(url="http://h/x?key=%5B%5Bowner%5D%5D&n=1", body=b'{"key":"[[other]]"}')
    words, _ = _words(curl_command(sent), tmp_path, OWNER_KEY="k1", OTHER_KEY="k2")
    assert "http://h/x?key=k1&n=1" in words
    assert words[words.index("--data-raw") + 1] == '{"key":"k2"}'


@pytest.mark.parametrize("body", [b"\x00\x01\xff", b"\x1b[31m", "\u202egnp".encode()])
def test_a_body_no_shell_word_can_carry_arrives_whole(
    make_exchange: MakeExchange, tmp_path: Path, body: bytes
) -> None:
    """Binary, escape sequences and bidirectional marks must not be pasted into a terminal, yet be sent."""
    command = curl_command(make_exchange(body=body))
    assert command.isascii()
    assert command.isprintable()
    words, stdin = _words(command, tmp_path)
    assert words[-2:] == ["--data-binary", "@-"]
    assert stdin == body


def test_a_large_body_is_not_inlined(make_exchange: MakeExchange) -> None:
    """A megabyte must not become a shell line; the command names the file to save first."""
    command = curl_command(make_exchange("e/../1", body=b"\xff" * 1_000_000))
    assert len(command) < 1_000
    assert "--data-binary @e-..-1.bin" in command


def test_run_command_repeats_what_was_judged(make: Make) -> None:
    """The target and the contract of the execution must be named, its other options not."""
    made = make(
        command="conformance run --target 'my staging.toml' --group files --effort deep -n 4",
        contract=ContractFacts("openai", "2.3.0", "d"),
        seed=9,
    )
    command = run_command(made, "createThreadAndRun")
    assert command == (
        "conformance run --target 'my staging.toml' --contract openai "
        "--only createThreadAndRun --seed 9 --effort standard"
    )


def test_allure_labels_are_stable_and_tell_items_apart() -> None:
    """One history id per item, the same in every execution; severity follows the highest level."""
    operation = Operation("createRun", "POST", "/threads/{id}/runs", "Assistants", Plane.DATA)
    must = Requirement("A-1", "a", Level.MUST, Kind.JUDGED, "s", "c", "o")
    may = Requirement("B-1", "b", Level.MAY, Kind.OBSERVED, "s", "c", "o")
    first = labels("portkey", operation, "valid", (may, must), link_pattern="https://x/{}")
    assert first == labels("portkey", operation, "valid", (may, must), link_pattern="https://x/{}")
    assert (first.epic, first.feature, first.story, first.severity) == (
        "portkey",
        "Assistants",
        "createRun",
        "critical",
    )
    assert first.links == (("B-1", "https://x/B-1"), ("A-1", "https://x/A-1"))
    assert labels("portkey", operation, "valid", (may,)).severity == "minor"
    assert labels("portkey", operation, "invalid").history_id != first.history_id


def test_junit_of_hostile_text_parses(make: Make, make_exchange: MakeExchange, hostile: str) -> None:
    """NUL, escape, lone surrogates in a message must not make the XML unreadable."""
    card = scorecard(make(bad=0.9, evidence=MemoryEvidence([make_exchange()])))
    for group in card["groups"][:5]:
        root = ElementTree.fromstring(junit(card, group))
        texts = [one.get("message", "") for one in root.iter("failure")]
        assert all("\x1b" not in text and "\u202e" not in text for text in texts)
    assert any("alert(1)" in one["message"] for one in card["findings"]["list"])
