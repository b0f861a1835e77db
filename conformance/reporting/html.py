"""The pages: index.html and one page per endpoint group, self-contained, without any script.

Every page renders from the scorecard; only the request and response of a finding come from the evidence.
Autoescaping, a content policy that allows nothing but inline style, and text made inert before it is
placed are three separate guards against what a target sends.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.model import Exchange
from conformance.reporting.curl import curl_command
from conformance.reporting.results import Evidence
from conformance.reporting.scorecard import JUDGED_STATES, STATES, STRICTER, Card
from conformance.reporting.text import clip, show_body, visible

INDEX_FINDINGS = 50
EVIDENCE_PER_GROUP = 30
_MARKS = {
    "pass": "✓",
    "fail": "✕",
    "error": "!",
    "inconclusive": "?",
    "not applicable": "–",
    "waived": "~",
    STRICTER: "≈",
    "conformant": "✓",
    "not conformant": "✕",
}


def pages(card: Card, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every page as (path relative to the report folder, HTML text), the index first."""
    environment = _environment()
    groups = card["groups"]
    requirements = {one["id"]: one for one in card["requirements"]}
    slug_of = {group["name"]: group["slug"] for group in groups}
    index = environment.get_template("index.html.j2")
    yield (
        "index.html",
        index.render(
            card=card, slug_of=slug_of, gaps=_gaps(card), findings=card["findings"]["list"][:INDEX_FINDINGS]
        ),
    )
    template = environment.get_template("group.html.j2")
    for at, group in enumerate(groups):
        mine = [one for one in card["findings"]["list"] if one["group"] == group["name"]]
        by_operation: dict[str, list[Card]] = {}
        for one in mine:
            by_operation.setdefault(one["operation"], []).append(one)
        # One finding of every operation gets its evidence before any gets a second.
        ranked = sorted(mine, key=lambda one: by_operation[one["operation"]].index(one))
        shown = {
            one["number"]: exchange_view(found)
            for one in ranked[:EVIDENCE_PER_GROUP]
            if (found := evidence.get(one["exchange"])) is not None
        }
        yield (
            f"groups/{group['slug']}/index.html",
            template.render(
                card=card,
                group=group,
                requirements=requirements,
                findings=by_operation,
                listed=len(mine),
                shown=shown,
                evidence_limit=EVIDENCE_PER_GROUP,
                before=groups[at - 1] if at else None,
                after=groups[at + 1] if at + 1 < len(groups) else None,
            ),
        )


def exchange_view(exchange: Exchange) -> Card:
    """One exchange as inert, bounded text: what the pages and findings.json show of it."""
    request, response = exchange.request, exchange.response
    sent = show_body(request.body, _media_type(request.headers))
    view: Card = {
        "id": visible(exchange.id),
        "purpose": str(exchange.purpose),
        "credential": str(exchange.credential),
        "seconds": round(exchange.ended - exchange.started, 4),
        "method": visible(request.method),
        "url": clip(visible(request.url), 2_000),
        "request_headers": _headers(request.headers),
        "request_body": sent.text,
        "request_note": sent.note,
        "curl": clip(curl_command(exchange), 20_000),
        "failure": "",
        "status": None,
        "response_headers": [],
        "response_body": "",
        "response_note": "",
    }
    if exchange.failure is not None:
        view["failure"] = clip(visible(f"{exchange.failure}: {exchange.detail}"), 500)
    if response is not None:
        got = show_body(response.body, response.media_type)
        view |= {
            "status": response.status,
            "response_headers": _headers(response.headers),
            "response_body": got.text,
            "response_note": got.note,
        }
    return view


def _media_type(headers: tuple[tuple[str, str], ...]) -> str:
    found = next((value for name, value in headers if name.lower() == "content-type"), "")
    return found.split(";")[0].strip().lower()


def _headers(headers: tuple[tuple[str, str], ...]) -> list[list[str]]:
    shown = [[clip(visible(name), 200), clip(visible(value), 1_000)] for name, value in headers[:60]]
    if len(headers) > 60:
        shown.append(["…", f"{len(headers) - 60:,} more headers"])
    return shown


def _gaps(card: Card) -> list[Card]:
    """The gaps of all groups, one row a reason, the largest first."""
    merged: dict[tuple[str, str], Card] = {}
    for group in card["groups"]:
        for gap in group["gaps"]:
            key = (gap["what"], gap["reason"])
            row = merged.setdefault(
                key, {"what": gap["what"], "reason": gap["reason"], "count": 0, "groups": []}
            )
            row["count"] += gap["count"]
            row["groups"].append({"name": group["name"], "slug": group["slug"], "count": gap["count"]})
    return sorted(merged.values(), key=lambda row: -row["count"])


def _inert(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_inert,
    )
    environment.filters["n"] = lambda number: f"{number:,}"
    environment.filters["state_class"] = lambda state: "s-" + state.replace(" ", "-")
    environment.filters["mark"] = lambda state: _MARKS.get(state, "·")
    environment.globals["STATES"] = STATES
    environment.globals["JUDGED_STATES"] = JUDGED_STATES
    return environment
