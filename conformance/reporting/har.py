"""HTTP Archive 1.2 of one group's exchanges, as plain JSON values."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from conformance import __version__
from conformance.model import Exchange
from conformance.reporting.text import visible

PER_OPERATION = 10
WANTED_LIMIT = 400
BODY_LIMIT = 64 * 1024


def select(
    exchanges: Iterable[Exchange], wanted: frozenset[str], *, per_operation: int = PER_OPERATION
) -> tuple[list[Exchange], int]:
    """The exchanges worth keeping, in the order given, and how many were left out.

    Those whose id is ``wanted`` (they show a finding; at most WANTED_LIMIT of them) and the first
    ``per_operation`` of each operation.
    """
    kept: list[Exchange] = []
    seen: dict[str, int] = {}
    left_out = failing = 0
    for one in exchanges:
        seen[one.operation] = seen.get(one.operation, 0) + 1
        shows_finding = one.id in wanted and failing < WANTED_LIMIT
        failing += shows_finding
        if shows_finding or seen[one.operation] <= per_operation:
            kept.append(one)
        else:
            left_out += 1
    return kept, left_out


def archive(exchanges: Iterable[Exchange], *, began: str, comment: str = "") -> dict[str, Any]:
    """A HAR 1.2 document. ``began`` is the ISO 8601 time that exchange times count from."""
    start = datetime.fromisoformat(began)
    if start.tzinfo is None:
        start = start.astimezone()
    log: dict[str, Any] = {
        "version": "1.2",
        "creator": {"name": "gateway-conformance", "version": __version__},
        "entries": [_entry(one, start) for one in exchanges],
    }
    if comment:
        log["comment"] = comment
    return {"log": log}


def _entry(one: Exchange, start: datetime) -> dict[str, Any]:
    milliseconds = round(max(one.ended - one.started, 0.0) * 1000, 3)
    return {
        "startedDateTime": (start + timedelta(seconds=one.started)).isoformat(timespec="milliseconds"),
        "time": milliseconds,
        "request": _request(one),
        "response": _response(one),
        "cache": {},
        # Only the whole is measured; send and receive are within it.
        "timings": {"send": 0, "wait": milliseconds, "receive": 0},
        "comment": f"{one.id} {one.purpose} {one.operation} as {one.credential}",
        "_exchange": one.id,
    }


def _request(one: Exchange) -> dict[str, Any]:
    sent = one.request
    entry: dict[str, Any] = {
        "method": sent.method,
        "url": visible(sent.url),
        "httpVersion": one.response.http_version if one.response else "HTTP/1.1",
        "cookies": [],
        "headers": _headers(sent.headers),
        "queryString": [
            {"name": visible(name), "value": visible(value)}
            for name, value in parse_qsl(urlsplit(sent.url).query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(sent.body),
    }
    if sent.body:
        media_type = next((value for name, value in sent.headers if name.lower() == "content-type"), "")
        text, encoding, comment = _text(sent.body)
        entry["postData"] = {"mimeType": visible(media_type), "params": [], "text": text}
        # HAR 1.2 gives postData no encoding; tools that know this one read it, the rest see the comment.
        notes = [note for note in (f"text is {encoding}" if encoding else "", comment) if note]
        if encoding:
            entry["postData"]["_encoding"] = encoding
        if notes:
            entry["postData"]["comment"] = "; ".join(notes)
    return entry


def _response(one: Exchange) -> dict[str, Any]:
    if one.response is None:
        return {
            "status": 0,
            "statusText": "",
            "httpVersion": "",
            "cookies": [],
            "headers": [],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "_error": visible(f"{one.failure or 'no response'}: {one.detail}"),
        }
    got = one.response
    text, encoding, comment = _text(got.body)
    content: dict[str, Any] = {
        "size": len(got.body),
        "mimeType": visible(got.header("content-type") or "x-unknown"),
        "text": text,
    }
    if encoding:
        content["encoding"] = encoding
    if comment:
        content["comment"] = comment
    try:
        phrase = HTTPStatus(got.status).phrase
    except ValueError:
        phrase = ""
    entry = {
        "status": got.status,
        "statusText": phrase,
        "httpVersion": got.http_version,
        "cookies": [],
        "headers": _headers(got.headers),
        "content": content,
        "redirectURL": visible(got.header("location") or ""),
        "headersSize": -1,
        "bodySize": -1,  # the size on the wire is unknown: the body is kept decoded
    }
    if one.failure:
        entry["_error"] = visible(f"{one.failure}: {one.detail}")
    return entry


def _headers(headers: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": visible(name), "value": visible(value)} for name, value in headers]


def _text(body: bytes) -> tuple[str, str, str]:
    """Body as (text, encoding, comment). What is not clean UTF-8 text goes as base64."""
    head = body[:BODY_LIMIT]
    comment = f"cut: {len(head):,} of {len(body):,} bytes" if len(head) < len(body) else ""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(head).decode("ascii"), "base64", comment
    return text, "", comment
