"""Prints what each fault was caught by, at the end of ``pytest tests/faults``."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        properties
        for reports in (terminalreporter.stats.get("passed", ()), terminalreporter.stats.get("failed", ()))
        for report in reports
        if "fault" in (properties := dict(getattr(report, "user_properties", ())))
    ]
    if not rows:
        return
    terminalreporter.section("faults and the requirements that fail")
    for row in sorted(rows, key=lambda row: str(row["fault"])):
        line = f"{row['fault']:<50} {row['named']:<40} {row['others'] or '-':<50} {row['seconds']:>5.1f} s"
        terminalreporter.write_line(line.rstrip())
