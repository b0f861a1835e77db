"""Targets that are broken or hostile: the execution ends soon and says why; its reports are inert."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from executions import Ended, only, run
from hostile import Answer, answering, closed, silent

SOON_S = 40.0  # the promise is 30; machines that run tests are busy
KEYS = {"CONFORMANCE_API_KEY": "pk-hostile-owner-0001", "CONFORMANCE_REVOKED_KEY": "pk-hostile-revoked-0001"}
_SMOKE = ("--effort", "smoke", "-n", "2")
_HTML = {"content-type": "text/html"}
_JSON = {"content-type": "application/json"}
EVIL = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x1b]0;owned\x07\x1b[31mred\u202egnp.exe"
)


def _soon(execution: Ended) -> None:
    assert execution.seconds < SOON_S
    assert "Traceback" not in execution.said
    assert "INTERNALERROR" not in execution.said


def test_a_closed_port(tmp_path: Path) -> None:
    """Nobody listens: exit 3, one line that names the address."""
    url = closed()
    execution = run(tmp_path, *_SMOKE, "--base-url", url, env=KEYS)
    assert execution.code == 3, execution.said
    assert url in execution.complaint
    _soon(execution)


def test_a_port_that_never_answers(tmp_path: Path) -> None:
    """Connections are taken and nothing comes back: exit 3, one line that says so."""
    with silent() as url:
        execution = run(tmp_path, *_SMOKE, "--base-url", url, env=KEYS)
    assert execution.code == 3, execution.said
    assert url in execution.complaint
    assert "no answer" in execution.complaint
    _soon(execution)


def test_a_key_that_is_refused_everywhere(tmp_path: Path) -> None:
    """401 to everything: exit 3, one line about the key, and not the key itself."""
    refusal = json.dumps({"error": {"message": "no"}}).encode()
    with answering(lambda *_: (401, _JSON, refusal)) as url:
        execution = run(tmp_path, *_SMOKE, "--base-url", url, env=KEYS)
    assert execution.code == 3, execution.said
    assert "refuses the owner's credential" in execution.complaint
    assert KEYS["CONFORMANCE_API_KEY"] not in execution.said
    _soon(execution)


@pytest.mark.parametrize(
    ("status", "scope", "told"),
    [(200, [], "text/html"), (500, ["--group", "Assistants"], "500")],
    ids=["success", "errors"],
)
def test_html_to_everything(status: int, scope: list[str], told: str, tmp_path: Path) -> None:
    """A web server instead of a gateway, well or broken: exit 1, the findings name what is wrong."""
    page = b"<!doctype html><title>Welcome</title><p>It works!"
    with answering(lambda *_: (status, _HTML, page)) as url:
        execution = run(tmp_path, *_SMOKE, *scope, "--base-url", url, env=KEYS)
    assert execution.code == 1, execution.said
    assert execution.card["verdict"]["word"] == "not conformant"
    assert execution.card["denominators"]["operations"]["reached"] == 0
    assert re.search(r"NOT CONFORMANT +\S.* \(exit 1\)", execution.out)
    assert any(told in one["message"] for one in execution.card["findings"]["list"])
    _soon(execution)


def test_bodies_of_ten_megabytes(tmp_path: Path) -> None:
    """Bodies larger than the limit are cut and judged; neither memory nor reports grow with them."""
    huge = b'{"object": "list", "data": "' + b"x" * 10_000_000 + b'"}'
    chosen = only("listModels", "listFiles")
    with answering(lambda *_: (200, _JSON, huge)) as url:
        execution = run(tmp_path, "--effort", "smoke", "-n", "0", "--base-url", url, *chosen, env=KEYS)
    assert execution.code == 1, execution.said
    assert {one["operation"] for one in execution.card["findings"]["list"]} >= {"listModels", "listFiles"}
    assert all(one.stat().st_size < 2_000_000 for one in execution.folder.rglob("*.html"))
    assert max(one["peak_bytes"] for one in execution.card["memory"]) < 600 * 1024 * 1024
    _soon(execution)


def test_text_of_the_target_is_inert(tmp_path: Path) -> None:
    """Markup, terminal escapes and direction marks of a target: shown, obeyed nowhere."""

    def evil(method: str, path: str, _: object) -> Answer:
        body = json.dumps({"error": {"message": EVIL}, EVIL: EVIL}, ensure_ascii=False).encode()
        return 500, {**_JSON, "x-note": "</script>"}, body

    with answering(evil) as url:
        chosen = only("listModels", "createThread")
        execution = run(tmp_path, "--effort", "smoke", "-n", "0", "--base-url", url, *chosen, env=KEYS)
    assert execution.code == 1, execution.said
    assert "\x1b" not in execution.said
    assert "\x07" not in execution.said
    for page in execution.folder.rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<script" not in text, page
        assert "<img src=x" not in text, page
        assert not set(text) & {"\x1b", "\x07", "\u202e"}, page
    for name in ("scorecard.json", "junit.xml"):
        assert not set((execution.folder / name).read_text("utf-8")) & {"\x1b", "\x07", "\u202e"}, name
    shown = (execution.folder / "groups" / "models" / "index.html").read_text("utf-8")
    assert "&lt;/script&gt;" in shown, "the page hides what the target said"
