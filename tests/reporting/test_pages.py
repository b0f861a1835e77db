"""The pages: self-contained, inert whatever a target sends, readable on a phone."""

from __future__ import annotations

import html as escaping
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from conformance.model import Exchange, Finding, Level, Result, Verdict
from conformance.reporting.html import pages
from conformance.reporting.report import write_report
from conformance.reporting.results import Execution, ItemOutcome
from conformance.reporting.scorecard import scorecard
from conformance.reporting.terminal import Live, render
from conformance.reporting.text import plain, show_body, slugs, visible

Make = Callable[..., Execution]

_VOID = {"meta", "br", "input", "hr", "img", "link", "area", "base", "col", "embed", "source", "track", "wbr"}
_LOADS = {"src", "srcset", "data", "action", "formaction", "poster", "background", "ping"}


class _Page(HTMLParser):
    """Collects what a browser would act on; complains about tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in _LOADS:
                self.loads.append(f"{tag} {name}")
            elif name.startswith("on"):
                self.handlers.append(name)
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> out of order, line {self.getpos()[0]}"


@pytest.fixture(scope="module")
def report(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_report(make(bad=0.1, unsure=0.05), folder)
    return folder


def test_pages_load_nothing_and_run_nothing(report: Path) -> None:
    """No script, no frame, no image, no handler, no address outside the folder, on any page."""
    paths = sorted(report.rglob("*.html"))
    assert len(paths) == 50
    for path in paths:
        text = path.read_text(encoding="utf-8")
        page = _Page(text)
        assert page.stack == []
        assert page.tags.isdisjoint(
            {"script", "iframe", "img", "link", "object", "embed", "base", "form", "svg"}
        )
        assert page.loads == page.handlers == []
        assert len(page.ids) == len(set(page.ids)), path
        assert "default-src 'none'" in text
        assert "url(" not in text.split("</style>")[0]
        assert "@import" not in text.split("</style>")[0]


def test_every_link_leads_somewhere(report: Path) -> None:
    """A link must point at a file of the report, and at an id that is there."""
    known: dict[Path, set[str]] = {}
    for path in report.rglob("*.html"):
        page = _Page(path.read_text(encoding="utf-8"))
        known[path.resolve()] = set(page.ids)
    for path in known:
        for link in _Page(path.read_text(encoding="utf-8")).links:
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path}: {link}"
            assert not anchor or anchor in known[target], f"{path}: {link}"


def test_pages_have_landmarks_and_one_title(report: Path) -> None:
    """A screen reader needs main, nav, header, footer, one h1, and the verdict as a status."""
    for path in (report / "index.html", report / "groups" / "assistants" / "index.html"):
        text = path.read_text(encoding="utf-8")
        for tag in ("main", "nav", "header", "footer"):
            assert f"<{tag}" in text
        assert text.count("<h1") == 1
        assert 'role="status"' in text
        assert '<html lang="en">' in text


def test_hostile_text_is_shown_and_inert(report: Path) -> None:
    """Script ends, escape sequences, direction overrides and NUL must be visible and without effect."""
    seen = templates = 0
    for path in report.rglob("*.html"):
        raw = path.read_bytes()
        text = raw.decode("utf-8")  # strict: a lone surrogate or a stray byte would refuse here
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", text)
        assert "<script" not in text
        seen += text.count("&lt;/script&gt;&lt;script&gt;alert(1)")
        templates += text.count("{{ 7*7 }}")
    assert seen == templates > 10


def test_a_megabyte_is_cut_and_the_page_says_so(report: Path) -> None:
    """A body of one endless line must be shortened with a note, not swell the page."""
    sizes = [path.stat().st_size for path in report.rglob("*.html")]
    assert max(sizes) < 1_500_000
    assert any(
        "1,000,000 bytes in all" in path.read_text(encoding="utf-8") for path in report.rglob("*.html")
    )


def test_a_group_name_cannot_leave_its_folder() -> None:
    """Names that would climb, clash or vanish must become distinct plain folder names."""
    made = slugs(("../../etc", "Etc", "日本", "", "A > B", "A/B"))
    assert len(set(made.values())) == 6
    assert all(re.fullmatch(r"[a-z0-9-]+", one) for one in made.values())


@given(st.text())
def test_visible_text_is_legal_everywhere(text: str) -> None:
    """Whatever comes in, what goes out must be UTF-8, legal XML, and free of hidden characters."""
    shown = visible(text)
    shown.encode("utf-8")
    assert not re.search("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", shown)
    assert visible(shown) == shown


@given(
    st.text() | st.builds("{}\x1b]0;{}\x07{}\x1b[31m{}".format, st.text(), st.text(), st.text(), st.text())
)
def test_terminal_text_is_one_printable_line(text: str) -> None:
    """No escape sequence and no line break may reach a terminal."""
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", plain(text))


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "text/html", "image/png"]))
def test_any_body_can_be_shown(body: bytes, media_type: str) -> None:
    """No body may break a report: invalid UTF-8, half a JSON document, anything."""
    shown = show_body(body, media_type)
    assert visible(shown.text) == shown.text
    assert shown.text or shown.note or not body.strip()


def test_bodies_that_explode_are_bounded() -> None:
    """Deep nesting must not exhaust the stack, a large document must not be parsed whole."""
    assert "not readable as JSON" in show_body(b"[" * 200_000, limit=10_000_000).note
    assert len(show_body(b"\xff" * 5_000_000, "image/png").text) < 2_000
    assert len(show_body(b'"' + b"a" * 5_000_000, "application/json").text) <= 8_000


def test_the_terminal_obeys_no_target(small: Make, hostile: str) -> None:
    """Rich markup and escape sequences in a finding or a reason must be printed as text."""
    finding = Finding("R", Level.MUST, "one", "x", hostile)
    failed = Result("R", "one", Verdict.FAIL, 1, (finding,))
    unsure = Result("R", "two", Verdict.INCONCLUSIVE, 0, (), hostile)
    out = io.StringIO()
    console = Console(file=out, width=150, force_terminal=True, color_system="truecolor")
    console.print(render(scorecard(small((failed, unsure)))))
    text = out.getvalue()
    assert text.count("alert(1)</script>red") == text.count("[bold]") == 3
    assert "\x1b]0;" not in text
    assert "\x1b[31mred" not in text
    assert not re.search("[\x00\u202e\ud800]", text)


def test_progress_without_a_terminal_is_plain_lines() -> None:
    """A log file must get a few plain lines: no bar, no escape codes, the final counts."""
    out = io.StringIO()
    live = Live(Console(file=out, width=100), every=0.0)
    live.start(2)
    live.advance(ItemOutcome("a", "valid", "one", Verdict.PASS, exchanges=5))
    live.advance(ItemOutcome("b", "valid", "two", Verdict.FAIL, exchanges=3, findings=2))
    live.finish()
    live.finish()
    lines = out.getvalue().splitlines()
    assert lines[0] == "2 items to exercise"
    assert lines[-1].startswith("2/2 items, 8 exchanges, 2 findings, 1 failed")
    assert len(lines) == 4
    assert "\x1b" not in out.getvalue()


def test_progress_on_a_terminal_counts_and_cleans_up() -> None:
    """The bar must show the counts, and leave the cursor visible when it ends."""
    out = io.StringIO()
    with Live(Console(file=out, width=100, force_terminal=True, force_interactive=True)) as live:
        live.start(1)
        live.advance(ItemOutcome("a", "valid", "one", Verdict.INCONCLUSIVE, exchanges=1_234))
    assert "1,234 exchanges" in out.getvalue()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_an_empty_execution_still_gives_pages(small: Make) -> None:
    """No result, no finding, no item: the index must render, and say that nothing was exercised."""
    made: Execution = small((), operations=(), reached={})
    ((path, text),) = list(pages(scorecard(made), made.evidence))
    assert path == "index.html"
    assert "nothing was exercised" in text


def test_a_finding_whose_exchange_is_gone_is_still_shown(make: Make) -> None:
    """Evidence that cannot be found must not lose the finding."""

    class Gone:
        def get(self, exchange_id: str) -> Exchange | None:
            return None

        def of(self, operation_id: str) -> list[Exchange]:
            return []

    made = make(evidence=Gone())
    card = scorecard(made)
    text = "".join(page for _, page in pages(card, made.evidence))
    assert text.count('class="finding') == card["findings"]["total"]
    assert "is not printed here" in text


_PROBE = """<!doctype html><body style="margin:0">
<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe><pre id="out"></pre>
<script>onload = () => {{
  const inner = document.querySelector("iframe").contentDocument, wide = [];
  const room = inner.documentElement.clientWidth;
  for (const one of inner.querySelectorAll("body *")) {{
    if (one.getBoundingClientRect().right > room + 1 && !one.closest(".wide, pre, .bar-nav, .skip"))
      wide.push(one.tagName + "." + one.className);
  }}
  const over = inner.documentElement.scrollWidth - room, heads = inner.querySelectorAll("h1").length;
  document.getElementById("out").textContent = JSON.stringify([over, wide.slice(0, 5), heads]);
}};</script>"""
_QUIET = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "page", ["index.html", "groups/assistants/index.html", "groups/analytics-graphs/index.html"]
)
def test_no_page_scrolls_sideways(report: Path, tmp_path: Path, page: str, width: int) -> None:
    """In a real browser, at phone and desk width, nothing may stick out of the page."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium lets this test look at the pages")
    probe = tmp_path / "probe.html"
    text = (report / page).read_text(encoding="utf-8")
    probe.write_text(_PROBE.format(width=width, page=escaping.escape(text)), encoding="utf-8")
    command = [
        browser,
        *_QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,1000",
        "--dump-dom",
    ]
    done: Any = subprocess.run(
        [*command, probe.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout)
    assert found is not None, done.stderr[-500:]
    assert escaping.unescape(found[1]) == "[0,[],1]"
