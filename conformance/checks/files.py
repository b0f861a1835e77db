"""Files: what was uploaded is what is told, listed and given back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from conformance.checks.combining import life
from conformance.checks.objects import about, answer
from conformance.checks.reading import (
    Part,
    done,
    earlier,
    form_of,
    gathered,
    honest,
    listed,
    mapping,
    path_of,
    query_of,
    sights,
    status_of,
    word,
)
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.model import Exchange

#: Providers may refuse to give back what was uploaded for these purposes.
_KEPT_BACK = frozenset({"assistants", "vision", "user_data"})
_REDACTED = b"[["  # a placeholder of the recorder: sizes are no longer those that were sent

Upload = tuple[Exchange, Mapping[str, Part]]


def uploads(exchanges: Sequence[Exchange]) -> dict[str, Upload]:
    """What was uploaded, by the id it was given: the exchange, and the parts of its form."""
    found: dict[str, Upload] = {}
    for exchange in done(exchanges, "createFile"):
        form, name = form_of(exchange), mapping(answer(exchange)).get("id")
        if isinstance(name, str) and form.get("file") is not None and _REDACTED not in exchange.request.body:
            found[name] = exchange, form
    return found


life("files.life", "file", known=False)


@sequence("files.bytes_counted")
def bytes_counted(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    sent = uploads(exchanges)
    found: list[tuple[Exchange, list[str]]] = []
    for view in sights(exchanges, "file"):
        if view.id in sent and "bytes" in view.value:
            size = len(sent[view.id][1]["file"].content)
            told = f"bytes: bytes is {view.value['bytes']!r}, {size} were uploaded"
            found.append((view.exchange, [] if view.value["bytes"] == size else [told]))
    return gathered(found)


@sequence("files.described_as_sent")
def described_as_sent(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    sent = uploads(exchanges)
    found: list[tuple[Exchange, list[str]]] = []
    for view in sights(exchanges, "file"):
        if view.id not in sent or view.value.get("deleted") is not None:
            continue
        form = sent[view.id][1]
        wanted = {"filename": form["file"].filename}
        if "purpose" in form:
            wanted["purpose"] = form["purpose"].content.decode("utf-8", "replace")
        found.append(
            (
                view.exchange,
                [
                    f"{name}: {name} is {str(view.value.get(name))[:80]!r}, sent was {expected[:80]!r}"
                    for name, expected in wanted.items()
                    if expected and expected.isascii() and view.value.get(name) != expected
                ],
            )
        )
    found.extend(_listings(exchanges, sent, context))
    return gathered(found)


def _listings(
    exchanges: Sequence[Exchange], sent: Mapping[str, Upload], context: Context
) -> Iterable[tuple[Exchange, list[str]]]:
    """Of each list: does it show every file that was surely there?"""
    for page in done(exchanges, "listFiles"):
        value, wanted = mapping(answer(page)), query_of(page).get("purpose")
        if value.get("has_more"):
            continue
        shown = {word(one.get("id")) for one in listed(value)}
        gone = {
            path_of(one, context).get("file_id")
            for one in exchanges
            if one.operation == "deleteFile" and not earlier(page, one)
        }
        for name, (upload, form) in sent.items():
            purpose = form["purpose"].content.decode("utf-8", "replace") if "purpose" in form else None
            if earlier(upload, page) and name not in gone | shown and wanted in (None, purpose):
                yield page, [f"not-listed: the list lacks {name}, which was uploaded before"]


@sequence("files.content_given_back")
def content_given_back(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    sent = uploads(exchanges)
    for download in exchanges:
        name = path_of(download, context).get("file_id") if download.operation == "downloadFile" else None
        if name not in sent or not honest(download) or not earlier(sent[name][0], download):
            continue
        form = sent[name][1]
        if any(
            one.operation == "deleteFile"
            and path_of(one, context).get("file_id") == name
            and not earlier(download, one)
            for one in exchanges
        ):
            continue
        status, purpose = status_of(download), form.get("purpose")
        if status == 200 and download.response is not None and download.failure is None:
            told = f"{len(download.response.body)} bytes, other than the {len(form['file'].content)} uploaded"
            right = download.response.body == form["file"].content
            yield download, PASSES if right else (Violation(told, "other-content"),)
        elif 400 <= status < 500 and status != 429 and purpose is not None:
            named = purpose.content.decode("utf-8", "replace")
            if named not in _KEPT_BACK:
                told = f"status {status} for the content of a file of purpose {named!r}"
                yield download, (Violation(told, f"status-{status}"),)


@check("files.filtered_by_purpose")
def filtered_by_purpose(exchange: Exchange, context: Context) -> Outcome:
    wanted = query_of(exchange).get("purpose")
    if exchange.operation != "listFiles" or not wanted or status_of(exchange) != 200:
        return None
    others = sorted({str(one.get("purpose")) for one in listed(answer(exchange))} - {wanted})
    if not others:
        return PASSES
    return (Violation(f"purpose={wanted} shows files of purpose {', '.join(others)}", "other-purpose"),)


@check("files.bad_upload_refused")
def bad_upload_refused(exchange: Exchange, context: Context) -> Outcome:
    if not about(exchange, "FILE-06") or exchange.facts.get("expect") != "refused":
        return None
    status = status_of(exchange)
    if status == 429 or not status or status >= 500:
        return None
    if 400 <= status < 500:
        return PASSES
    missing = "with an unknown purpose" if "file" in form_of(exchange) else "without a file"
    return (Violation(f"status {status} for an upload {missing}, expected 4xx", "accepted"),)
