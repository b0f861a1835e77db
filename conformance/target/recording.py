"""Evidence on disk: one JSON object a line, an intent before each request and its outcome after.

Every worker appends to its own ``evidence-<worker>.jsonl``; ``join`` brings them into the order of
sending. What is written is redacted already. A file without its footer was cut: readers take what
is whole, and ``inspect`` tells what is missing.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.errors import UsageError
from conformance.model import Credential, Exchange, Failure, Purpose, Request, Response

FORMAT = 1
MAX_BODY_BYTES = 16 * 1024 * 1024
_FLUSH_BYTES = 256 * 1024
_FLUSH_SECONDS = 1.0  # what a killed execution may lose
_ENCODE = json.JSONEncoder(default=str).encode
_EXCHANGE = b'{"kind": "exchange", "started": '  # a fixed start: joining need not parse the rest


@dataclass(frozen=True, slots=True)
class Intent:
    """A request that was about to be sent."""

    id: str
    item: str
    operation: str
    method: str
    url: str
    started: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """What evidence files hold. ``complete``: each has its footer, and every intent its outcome."""

    headers: tuple[Mapping[str, Any], ...]
    exchanges: int
    unfinished: tuple[Intent, ...]
    complete: bool


def exchange_to_dict(exchange: Exchange, *, max_body: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """A JSON object of the exchange; bodies as ``body`` (text) or ``body64``, none when empty."""
    request, response = exchange.request, exchange.response
    value: dict[str, Any] = {
        "kind": "exchange",
        "started": round(exchange.started, 6),
        "ended": round(exchange.ended, 6),
        "id": exchange.id,
        "item": exchange.item,
        "operation": exchange.operation,
        "purpose": exchange.purpose.value,
        "credential": exchange.credential.value,
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            **_body(request.body, max_body),
        },
    }
    if response is not None:
        value["response"] = {
            "status": response.status,
            "headers": response.headers,
            "http": response.http_version,
            **_body(response.body, max_body),
        }
    if exchange.failure is not None:
        value["failure"] = exchange.failure.value
    if exchange.detail:
        value["detail"] = exchange.detail
    if exchange.case:
        value["case"] = exchange.case
    if exchange.facts:
        value["facts"] = dict(exchange.facts)
    return value


def exchange_from_dict(value: Mapping[str, Any]) -> Exchange:
    """The inverse; KeyError or ValueError for an object that is no exchange."""
    request, response = value["request"], value.get("response")
    failure = value.get("failure")
    facts = dict(value.get("facts", {}))
    for side, part in (("request", request), ("response", response or {})):
        if "cut" in part:
            facts[f"{side}_body_cut_from"] = part["cut"]
    return Exchange(
        id=value["id"],
        item=value["item"],
        operation=value["operation"],
        purpose=Purpose(value["purpose"]),
        credential=Credential(value["credential"]),
        request=Request(request["method"], request["url"], _pairs(request["headers"]), _content(request)),
        started=value["started"],
        ended=value["ended"],
        response=None
        if response is None
        else Response(response["status"], _pairs(response["headers"]), _content(response), response["http"]),
        failure=None if failure is None else Failure(failure),
        detail=value.get("detail", ""),
        case=value.get("case", ""),
        facts=facts,
    )


def _pairs(headers: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers)


def _body(body: bytes, most: int) -> dict[str, Any]:
    if not body:
        return {}
    cut = {"cut": len(body)} if len(body) > most else {}
    body = body[:most]
    try:
        return {"body": body.decode("utf-8"), **cut}
    except UnicodeDecodeError:
        return {"body64": base64.b64encode(body).decode("ascii"), **cut}


def _content(part: Mapping[str, Any]) -> bytes:
    if "body" in part:
        return str(part["body"]).encode("utf-8")
    return base64.b64decode(part["body64"]) if "body64" in part else b""


class Recorder:
    """Appends the evidence of one worker; ``header`` (versions, digests, the target described) first."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Mapping[str, Any] | None = None,
        *,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._max_body = max_body
        self._exchanges = 0
        self._flushed = time.monotonic()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "ab", buffering=_FLUSH_BYTES)
        self._write({"kind": "header", "format": FORMAT, **(header or {})})
        self._file.flush()

    @staticmethod
    def file_of(folder: str | os.PathLike[str], worker: str) -> Path:
        """Where a worker keeps its evidence."""
        return Path(folder) / f"evidence-{worker}.jsonl"

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def intent(self, intent: Intent, *, flush: bool = False) -> None:
        """Before sending. ``flush`` for what changes the target: it is on disk when this returns."""
        self._write(
            {
                "kind": "intent",
                "started": round(intent.started, 6),
                "id": intent.id,
                "item": intent.item,
                "operation": intent.operation,
                "method": intent.method,
                "url": intent.url,
            }
        )
        if flush:
            self._file.flush()

    def outcome(self, exchange: Exchange) -> None:
        """After sending, also of what was not sent."""
        self._exchanges += 1
        self._write(exchange_to_dict(exchange, max_body=self._max_body))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Write the footer and close; a second call does nothing."""
        if not self._file.closed:
            self._write({"kind": "footer", "exchanges": self._exchanges})
            self._file.close()

    def _write(self, value: Mapping[str, Any]) -> None:
        self._file.write(_ENCODE(value).encode("ascii") + b"\n")
        now = time.monotonic()
        if now - self._flushed > _FLUSH_SECONDS:
            self._file.flush()
            self._flushed = now


def _objects(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The whole lines of one file. Only the last may be cut; anything else broken is an error."""
    with open(path, "rb") as file:
        broken = 0
        for number, line in enumerate(file, 1):
            if broken:
                raise UsageError(
                    f"{path}: line {broken} is not evidence", hint="the file was altered or mixed up"
                )
            try:
                value = json.loads(line)
            except ValueError:
                broken = number
                continue
            if not isinstance(value, dict) or "kind" not in value:
                raise UsageError(f"{path}: line {number} is not evidence", hint="give an evidence file")
            yield value


def read_evidence(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Exchange]:
    """Every finished exchange, file by file; intents without outcome are left to ``inspect``.

    Raises UsageError for a file that is no evidence, or of a newer format.
    """
    for path in paths:
        for value in _objects(path):
            if value["kind"] == "header" and value.get("format") != FORMAT:
                raise UsageError(
                    f"{path}: evidence format {value.get('format')!r}", hint=f"this suite reads {FORMAT}"
                )
            if value["kind"] == "exchange":
                try:
                    exchange = exchange_from_dict(value)
                except (KeyError, ValueError, TypeError) as error:
                    raise UsageError(
                        f"{path}: exchange {value.get('id')!r} cannot be read: {error}"
                    ) from None
                yield exchange


def inspect(paths: Iterable[str | os.PathLike[str]]) -> Inspection:
    """Headers, counts, and the requests whose outcome was never written."""
    headers: list[Mapping[str, Any]] = []
    pending: dict[str, Intent] = {}
    exchanges = 0
    complete = True
    for path in paths:
        ended = False
        counted = 0
        for value in _objects(path):
            kind = value["kind"]
            if kind == "header":
                headers.append({key: one for key, one in value.items() if key != "kind"})
            elif kind == "intent":
                pending[value["id"]] = Intent(
                    value["id"],
                    value["item"],
                    value["operation"],
                    value["method"],
                    value["url"],
                    value["started"],
                )
            elif kind == "exchange":
                counted += 1
                pending.pop(value["id"], None)
            elif kind == "footer":
                ended = value.get("exchanges") == counted
        exchanges += counted
        complete = complete and ended
    return Inspection(tuple(headers), exchanges, tuple(pending.values()), complete and not pending)


def join(paths: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str]) -> int:
    """One file of all exchanges in the order of sending; returns their number.

    Keeps the first header, the intents that have no outcome, and a footer only if every part had
    one. Holds an index in memory, never the bodies.
    """
    files = [Path(path) for path in paths]
    state = inspect(files)
    index: list[tuple[float, int, int, int]] = []
    for number, path in enumerate(files):
        offset = 0
        with path.open("rb") as file:
            for line in file:
                if line.startswith(_EXCHANGE) and line.endswith(b"\n"):
                    started = float(line[len(_EXCHANGE) : line.index(b",", len(_EXCHANGE))])
                    index.append((started, number, offset, len(line)))
                offset += len(line)
    index.sort()
    destination = Path(out)
    partial = destination.with_name(destination.name + ".part")
    handles = [path.open("rb") for path in files]
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            header = {"kind": "header", "format": FORMAT, **(state.headers[0] if state.headers else {})}
            file.write(json.dumps(header).encode() + b"\n")
            for intent in state.unfinished:
                values = {name: getattr(intent, name) for name in Intent.__slots__}
                file.write(json.dumps({"kind": "intent", **values}).encode() + b"\n")
            for _, number, offset, length in index:
                handles[number].seek(offset)
                file.write(handles[number].read(length))
            if state.complete:
                file.write(json.dumps({"kind": "footer", "exchanges": len(index)}).encode() + b"\n")
    finally:
        for handle in handles:
            handle.close()
    partial.replace(destination)
    return len(index)
