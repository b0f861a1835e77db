"""Commands that send a finding's request again: one for curl, one for the suite."""

from __future__ import annotations

import base64
import re
import shlex
from urllib.parse import urlsplit

from conformance.model import Exchange
from conformance.reporting.results import Execution
from conformance.reporting.text import visible

# Headers that carry a secret whatever their value, and those curl writes itself.
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-portkey-api-key", "api-key", "x-api-key", "cookie"}
)
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding", "connection"})
_INLINE_LIMIT = 8_000
_BINARY_INLINE_LIMIT = 3_000
_SCHEMES = re.compile(r"(?i)(bearer|basic|token)\s+")


def curl_command(exchange: Exchange, *, placeholder: re.Pattern[str] | None = None) -> str:
    """A shell line that sends the request of ``exchange`` again.

    Secrets are environment variables named for who asked (``$OWNER_KEY``, ``$REVOKED_KEY`` …); text that
    matches ``placeholder`` (what a recorder put in the place of a secret) becomes one wherever it stands.
    A body that a shell cannot carry goes in by base64, or by a note when it is large.
    """
    request = exchange.request
    variable = f"{exchange.credential.name}_KEY"
    url = request.url
    upgrade = url.startswith(("ws://", "wss://"))
    parts = ["curl", "-sS", "-i", "-N"]
    if re.search(r"[\[\]{}]", url):
        parts.append("--globoff")
    if "/../" in url or "/./" in url:
        parts.append("--path-as-is")
    if upgrade:
        parts.append("--http1.1")
        url = "http" + url[2:]
    if request.method == "HEAD":
        parts.append("-I")
    elif request.method != "GET" or request.body:
        parts += ["-X", shlex.quote(request.method)]
    parts.append(_quote(url, variable, placeholder))
    for name, value in request.headers:
        lowered = name.lower()
        if lowered in _OWN_HEADERS and not (upgrade and lowered == "connection"):
            continue
        parts += ["-H", _header(name, value, variable, placeholder)]
    prefix = ""
    if request.body:
        prefix, arguments = _body(exchange, variable, placeholder)
        parts += arguments
    return prefix + " ".join(parts)


def run_command(execution: Execution, operation: str) -> str:
    """The command that exercises one operation again, as the execution did."""
    parts = ["conformance", "run"]
    source = execution.target.get("file") or execution.target.get("source")
    if isinstance(source, str) and source:
        parts += ["--target", source]
    if execution.contract.name != "portkey":
        parts += ["--contract", execution.contract.name]
    if operation:
        parts += ["--only", operation]
    parts += ["--seed", str(execution.seed), "--effort", execution.effort]
    return " ".join(shlex.quote(visible(part)) for part in parts)


def _header(name: str, value: str, variable: str, placeholder: re.Pattern[str] | None) -> str:
    name, value = visible(name), visible(value.replace("\n", " "))
    if not value:
        return shlex.quote(f"{name};")  # how curl is told to send an empty one
    if name.lower() in _SECRET_HEADERS:
        scheme = _SCHEMES.match(value)
        return shlex.quote(f"{name}: {scheme.group() if scheme else ''}") + f'"${variable}"'
    return _quote(f"{name}: {value}", variable, placeholder)


def _quote(text: str, variable: str, placeholder: re.Pattern[str] | None) -> str:
    text = visible(text)
    if placeholder is None:
        return shlex.quote(text)
    pieces = placeholder.sub("\0", text).split("\0")  # visible() left no NUL of its own
    return f'"${variable}"'.join(shlex.quote(piece) if piece else "" for piece in pieces)


def _body(exchange: Exchange, variable: str, placeholder: re.Pattern[str] | None) -> tuple[str, list[str]]:
    body = exchange.request.body
    if len(body) <= _INLINE_LIMIT:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if text and visible(text) == text:
            return "", ["--data-raw", _quote(text, variable, placeholder)]
    if len(body) <= _BINARY_INLINE_LIMIT:
        encoded = base64.b64encode(body).decode("ascii")
        return f"printf %s {encoded} | base64 -d | ", ["--data-binary", "@-"]
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", exchange.id) or "exchange"
    host = urlsplit(exchange.request.url).hostname or "the target"
    note = (
        f"# save the request body of {name} ({len(body):,} bytes, to {visible(host)}) as {name}.bin first\n"
    )
    return note, ["--data-binary", f"@{name}.bin"]
