"""The terminal: a live line while an execution runs, the scorecard when it ends."""

from __future__ import annotations

import time
from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from conformance.model import Verdict
from conformance.reporting.results import ItemOutcome
from conformance.reporting.scorecard import Card
from conformance.reporting.text import plain

TOP_FINDINGS = 10
_TOP_GAPS = 8
_STYLE = {
    "conformant": "bold green",
    "not conformant": "bold red",
    "inconclusive": "bold yellow",
    "error": "bold red",
}
_MARK = {"conformant": "✔", "not conformant": "✘", "inconclusive": "?", "error": "!"}


class Live:
    """Progress of an execution: a bar on a terminal, a plain line now and then elsewhere.

    ``every`` is the least number of seconds between two plain lines.
    """

    def __init__(self, console: Console | None = None, *, every: float = 10.0) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.total = self.done = self.exchanges = self.findings = self.failed = self.unjudged = 0
        self._every = every
        self._began = self._spoke = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def start(self, total: int) -> None:
        """Begin, with ``total`` items to come."""
        self.total = total
        self._began = self._spoke = time.monotonic()
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._progress = Progress(
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}", markup=False),
                TimeElapsedColumn(),
                console=self.console,
                expand=True,
                transient=True,
                refresh_per_second=4,
            )
            self._task = self._progress.add_task("", total=total, state=self._state())
            self._progress.start()
        else:
            self._say(f"{total:,} items to exercise")

    def advance(self, outcome: ItemOutcome) -> None:
        """Count one finished item."""
        self.done += 1
        self.exchanges += outcome.exchanges
        self.findings += outcome.findings
        self.failed += outcome.verdict in (Verdict.FAIL, Verdict.ERROR)
        self.unjudged += outcome.verdict is Verdict.INCONCLUSIVE
        if self._progress is not None:
            self._progress.update(self._task, completed=self.done, state=self._state())
        elif time.monotonic() - self._spoke >= self._every:
            self._spoke = time.monotonic()
            self._say(f"{self.done:,}/{self.total:,} items, {self._state()}, {self._elapsed()}")

    def finish(self) -> None:
        """End; safe to call twice, or without start."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        if self.total:
            self._say(f"{self.done:,}/{self.total:,} items, {self._state()}, {self._elapsed()}")
        self.total = 0

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def _state(self) -> str:
        parts = [f"{self.exchanges:,} exchanges", f"{self.findings:,} findings"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.unjudged:
            parts.append(f"{self.unjudged:,} inconclusive")
        return ", ".join(parts)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"

    def _say(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)


def print_scorecard(card: Card, console: Console | None = None, *, report: str = "") -> None:
    """Print the scorecard; ``report`` is where the pages are. Text of the target is shown, never obeyed."""
    (console or Console(highlight=False)).print(render(card, report=report))


def render(card: Card, *, report: str = "") -> RenderableType:
    """The scorecard as something rich can print: groups, totals, findings, gaps, verdict."""
    parts: list[RenderableType] = [_group_table(card)]
    if card["findings"]["total"]:
        parts += ["", _finding_lines(card)]
    parts += ["", *_area_lines(card)]
    gaps = _gap_lines(card)
    if gaps:
        parts += ["", *gaps]
    parts += ["", _totals(card), "", _verdict(card)]
    if report:
        parts.append(Text(f"Report: {plain(report)}", overflow="fold"))
    return Group(*parts)


def _group_table(card: Card) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_footer=True,
        header_style="bold",
        footer_style="bold",
    )
    counts = card["counts"]
    operations, units = card["denominators"]["operations"], card["denominators"]["units"]
    table.add_column("Group", "All groups", overflow="fold")
    for head, foot in (
        ("Reached", _of(operations["reached"], operations["total"])),
        ("Judged", _of(units["judged"], units["applicable"])),
        ("Fail", f"{counts['fail'] + counts['error']:,}"),
        ("Inconcl.", f"{counts['inconclusive']:,}"),
        ("N. a.", f"{counts['not applicable']:,}"),
        ("Findings", f"{card['findings']['total']:,}"),
    ):
        table.add_column(head, foot, justify="right", no_wrap=True)
    for group in card["groups"]:
        if not group["list"] and not group["findings"]:
            continue  # nothing of it is claimed; the totals count what is out of scope
        mine = group["counts"]
        bad, unsure = mine["fail"] + mine["error"], mine["inconclusive"]
        reached = group["operations"]
        table.add_row(
            Text(plain(group["name"])),
            Text(
                _of(reached["reached"], reached["total"]),
                "" if reached["reached"] == reached["total"] else "yellow",
            ),
            _of(group["units"]["judged"], group["units"]["applicable"]),
            Text(f"{bad:,}", "bold red" if bad else "dim"),
            Text(f"{unsure:,}", "yellow" if unsure else "dim"),
            Text(f"{mine['not applicable']:,}", "dim"),
            Text(f"{group['findings']:,}", "bold" if group["findings"] else "dim"),
        )
    return table


def _finding_lines(card: Card) -> RenderableType:
    listed = card["findings"]["list"][:TOP_FINDINGS]
    rest = card["findings"]["total"] - len(listed)
    lines: list[RenderableType] = [Text("Findings", "bold")]
    for one in listed:
        marks = [
            word
            for word, on in (
                ("stricter than practice", one["stricter_than_practice"]),
                ("waived", one["waived"]),
                ("outside the claimed scope", one["out_of_scope"]),
            )
            if on
        ]
        head = Text.assemble(
            (f"{one['number']:>3}. ", "dim"),
            (f"{one['level']} ", "bold red" if one["level"] == "MUST" and not marks else "yellow"),
            (plain(one["requirement"]), "bold"),
            f" on {plain(one['operation']) or 'the target'}",
            f" ({', '.join(marks)})" if marks else "",
        )
        lines += [head, Padding(Text(plain(one["message"])), (0, 0, 0, 5))]
        lines.append(Padding(Text(plain(one["reproduce"], 2_000), "dim", overflow="fold"), (0, 0, 0, 5)))
    if rest > 0:
        lines.append(Text(f"     and {rest:,} more in the report", "dim"))
    return Group(*lines)


def _area_lines(card: Card) -> list[RenderableType]:
    """Requirements judged of all, area by area; those with a gap on lines of their own, with the reason."""
    whole = Text()
    gaps: list[Text] = []
    for area in card["areas"]:
        applicable = area["total"] - area["not_applicable"]
        if not applicable:
            continue
        told = f"{plain(area['area'])} {area['judged']}/{applicable}"
        if area["judged"] == applicable:
            whole.append(("  " if whole else "") + told.replace(" ", "\N{NO-BREAK SPACE}"))
        else:
            gaps.append(
                Text(f"  {told}: {plain(area['reason']) or 'judged on some operations only'}", "yellow")
            )
    return [Text("Requirements judged, by area", "bold"), whole, *gaps]


def _gap_lines(card: Card) -> list[RenderableType]:
    counts: dict[tuple[str, str], int] = {}
    for group in card["groups"]:
        for gap in group["gaps"]:
            key = (gap["what"], gap["reason"])
            counts[key] = counts.get(key, 0) + gap["count"]
    if not counts:
        return []
    ordered = sorted(counts.items(), key=lambda entry: -entry[1])
    words = {"operations": "operations not reached", "units": "units not judged"}
    lines: list[RenderableType] = [Text("Not judged, and why", "bold")]
    for (what, reason), count in ordered[:_TOP_GAPS]:
        lines.append(Text(f"  {count:>6,} {words[what]}: {plain(reason)}"))
    if len(ordered) > _TOP_GAPS:
        lines.append(Text(f"         and {len(ordered) - _TOP_GAPS:,} more reasons in the report", "dim"))
    return lines


def _totals(card: Card) -> Table:
    have, ledger, run = card["denominators"], card["ledger"], card["execution"]
    requirements, operations = have["requirements"], have["operations"]
    table = Table.grid(padding=(0, 2))
    rows = [
        (
            "Operations reached",
            _of(operations["reached"], operations["total"]),
            _extra(operations["out_of_scope"], "out of scope"),
        ),
        (
            "Requirements judged",
            _of(requirements["judged"], requirements["total"]),
            "; ".join(
                part
                for part in (
                    _extra(requirements["partly"], "in part"),
                    _extra(requirements["unjudged"], "not judged"),
                    _extra(requirements["not_applicable"], "not applicable"),
                )
                if part
            ),
        ),
        (
            "Units judged",
            _of(have["units"]["judged"], have["units"]["applicable"]),
            "requirement × operation",
        ),
        (
            "Exchanges judged",
            _of(have["exchanges"]["judged"], have["exchanges"]["total"]),
            f"{run['seconds']:.1f} s",
        ),
        (
            "Created and removed",
            f"{ledger['created']:,} / {ledger['removed']:,}",
            f"{len(ledger['residue']):,} residue, {len(ledger['leftover']):,} left over",
        ),
    ]
    for level, counts in card["levels"].items():
        said = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
        rows.append((level, "", said or "nothing to judge"))
    for name, value, note in rows:
        table.add_row(Text(name, "bold"), Text(value), Text(note, "dim"))
    return table


def _verdict(card: Card) -> Text:
    verdict = card["verdict"]
    word = verdict["word"]
    head = f"{_MARK.get(word, '')} {word.upper()}"
    return Text.assemble(
        (head, _STYLE.get(word, "bold")), f"  {plain(verdict['reason'], 500)} (exit {verdict['exit_code']})"
    )


def _of(part: int, whole: int) -> str:
    return f"{part:,}/{whole:,}"


def _extra(count: int, word: str) -> str:
    return f"{count:,} {word}" if count else ""
