"""Writes the report folder of one execution."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

from conformance.reporting import har, html
from conformance.reporting.junit import junit
from conformance.reporting.results import Execution
from conformance.reporting.scorecard import Card, dumps, scorecard

FINDINGS_FORMAT = "gateway-conformance/findings/1"


def write_report(execution: Execution, folder: Path) -> Card:
    """Write scorecard.json, index.html and groups/<slug>/ under ``folder``; return the scorecard.

    OSError when the folder cannot be written.
    """
    card = scorecard(execution)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scorecard.json").write_text(dumps(card), encoding="utf-8")
    for group in card["groups"]:
        home = folder / "groups" / group["slug"]
        home.mkdir(parents=True, exist_ok=True)
        (home / "junit.xml").write_bytes(junit(card, group))
        (home / "findings.json").write_text(_findings(card, group, execution), encoding="utf-8")
        (home / "exchanges.har").write_text(_har(card, group, execution), encoding="utf-8")
    for path, text in html.pages(card, execution.evidence):
        (folder / path).write_text(text, encoding="utf-8")
    return card


def _findings(card: Card, group: Card, execution: Execution) -> str:
    mine = [one for one in card["findings"]["list"] if one["group"] == group["name"]]
    listed = []
    for at, one in enumerate(mine):
        found = execution.evidence.get(one["exchange"]) if at < html.EVIDENCE_PER_GROUP else None
        listed.append({**one, "evidence": html.exchange_view(found) if found else None})
    document = {
        "format": FINDINGS_FORMAT,
        "execution": execution.id,
        "group": group["name"],
        "total": group["findings"],
        "listed": len(listed),
        "findings": listed,
    }
    return json.dumps(document, indent=1) + "\n"


def _har(card: Card, group: Card, execution: Execution) -> str:
    wanted = frozenset(one["exchange"] for one in card["findings"]["list"] if one["group"] == group["name"])
    operations = [one["id"] for one in chain(group["list"], group["out_of_scope"])]
    sent = chain.from_iterable(execution.evidence.of(one) for one in operations)
    kept, left_out = har.select(sent, wanted)
    note = "every exchange of the group"
    if left_out:
        note = (
            f"{left_out:,} exchanges left out: kept are those of findings (at most {har.WANTED_LIMIT}) "
            f"and the first {har.PER_OPERATION} of each operation"
        )
    return json.dumps(har.archive(kept, began=execution.started, comment=note)) + "\n"
