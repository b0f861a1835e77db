"""A bound case as it goes over the wire. Pure: no network, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx

from conformance.errors import SuiteError
from conformance.generation.dummies import is_symbol, symbols
from conformance.generation.files import content
from conformance.generation.text import on_the_wire
from conformance.model import Case

FORM = "application/x-www-form-urlencoded"
_PARAMETER = re.compile(r"\{([^/{}]+)\}")


class Wire(NamedTuple):
    """What to send. ``content`` is None without a body; ``content_type`` then is None too."""

    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    content: bytes | None
    content_type: str | None


def wire(case: Case) -> Wire:
    """Query pairs (not yet percent-encoded), headers, body bytes and content type of a bound case.

    A ``{"$file": kind}`` part becomes that file; any other symbol left is a SuiteError.
    """
    query = [(name, _text(value, case)) for name, value in case.query]
    headers = [(name, _header(_text(value, case))) for name, value in case.headers]
    if not case.has_body:
        return Wire(query, headers, None, None)
    kind = (case.media_type or "application/json").split(";")[0].strip().lower()
    body = case.body
    if isinstance(body, Mapping) and set(body) == {"$raw"}:
        return Wire(query, headers, str(body["$raw"]).encode(errors="replace"), case.media_type)
    if kind.startswith("multipart/") and isinstance(body, list):
        data, content_type = _multipart(case, body, kind)
        return Wire(query, headers, data, content_type)
    if kind == FORM and isinstance(body, list):
        pairs = [(part["name"], _text(part.get("value"), case)) for part in body]
        return Wire(query, headers, urlencode(pairs).encode(), case.media_type)
    if (left := next(symbols(body), None)) is not None:
        raise _unbound(left, case)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Wire(query, headers, text.encode(errors="replace"), case.media_type or "application/json")


def fill_path(template: str, values: Mapping[str, Any]) -> str:
    """The path of a bound case; every character of a value that could change the path is encoded.

    SuiteError where a parameter has no value or an empty one: the request would reach another operation.
    """

    def value(match: re.Match[str]) -> str:
        text = on_the_wire(values.get(match[1], ""))
        if not text:
            raise SuiteError(f"path parameter {match[1]} of {template} has no value")
        # Clients take dots alone for steps up the path, encoded or not.
        return text.replace(".", "%2E") if set(text) == {"."} else quote(text, safe="@:!$&'()*+,;=")

    return _PARAMETER.sub(value, template)


def _text(value: Any, case: Case) -> str:
    if is_symbol(value):
        raise _unbound(value, case)
    return on_the_wire(value)


def _unbound(value: Any, case: Case) -> SuiteError:
    return SuiteError(f"case {case.id}: {value!r} was not bound before it was sent")


def _header(text: str) -> str:
    """Printable ASCII without surrounding space, which is all that every HTTP library sends."""
    return "".join(one if " " <= one <= "~" else "?" for one in text).strip()


def _multipart(case: Case, parts: list[Any], kind: str) -> tuple[bytes, str]:
    boundary = "conformance-" + hashlib.sha256(case.id.encode()).hexdigest()[:24]
    fields: list[tuple[str, Any]] = []
    for part in parts:
        if "file" in part:
            fields.append((part["name"], _file(part["file"], case)))
        else:
            fields.append((part["name"], (None, _text(part.get("value"), case).encode(errors="replace"))))
    content_type = f"{kind}; boundary={boundary}"
    if not fields:  # the library would send no body at all
        return f"--{boundary}--\r\n".encode(), content_type
    request = httpx.Request(
        "POST", "http://conformance.invalid/", files=fields, headers={"content-type": content_type}
    )
    return request.read(), content_type


def _file(value: Any, case: Case) -> tuple[str, bytes, str]:
    if isinstance(value, Mapping) and set(value) == {"$file"}:
        name, media_type, data = content(value["$file"])
        return name, data, media_type
    if isinstance(value, bytes):
        return "upload.bin", value, "application/octet-stream"
    if isinstance(value, str):
        return "upload.txt", value.encode(errors="replace"), "text/plain"
    if isinstance(value, (tuple, list)) and len(value) == 3:
        name, media_type, data = value
        return str(name), data, str(media_type)
    raise _unbound(value, case)
