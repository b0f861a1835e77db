"""Commands that send a finding's request again: one for curl, one for the suite."""

from __future__ import annotations

import base64
import re
import shlex
from urllib.parse import unquote

from conformance.model import Credential, Exchange
from conformance.reporting.results import Execution
from conformance.reporting.text import visible

# What a recorder writes in the place of a secret: [[owner]], percent-encoded within a URL.
_PLACEHOLDER = re.compile(
    r"\[\[(?!(?:true|false|null)\]\])[a-z][a-z0-9:_ -]*\]\]|%5B%5B[a-z](?:[a-z0-9:_-]|%20|%3A)*%5D%5D", re.I
)
# Headers whose value is a secret even where nothing was redacted, and those curl writes itself.
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-portkey-api-key", "api-key", "x-api-key", "cookie"}
)
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding", "connection"})
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token)\s+")
_CARRIED = frozenset({"--target", "--base-url", "--contract", "--specs-dir", "--strictness", "--fault"})
_INLINE_LIMIT = 8_000
_BINARY_INLINE_LIMIT = 3_000


def curl_command(exchange: Exchange) -> str:
    """A shell line that sends the request of ``exchange`` again.

    Secrets are environment variables named for whose they are (``$OWNER_KEY``, ``$REVOKED_KEY`` …). A
    body that a shell word cannot carry goes in by base64, or by a file to save first when it is large.
    """
    request = exchange.request
    url = request.url
    upgrade = url.startswith(("ws://", "wss://"))
    parts = ["curl", "-sS", "-i", "-N"]
    if re.search(r"[\[\]{}]", url):
        parts.append("--globoff")
    if re.search(r"/\.\.?(?:/|$|\?)", url):
        parts.append("--path-as-is")
    if upgrade:
        parts.append("--http1.1")
        url = "http" + url[2:]
    if request.method == "HEAD":
        parts.append("-I")
    elif request.method != "GET" or request.body:
        parts += ["-X", shlex.quote(request.method)]
    parts.append(_quote(url))
    for name, value in request.headers:
        lowered = name.lower()
        if lowered not in _OWN_HEADERS or (upgrade and lowered == "connection"):
            parts += ["-H", _header(name, value, exchange.credential)]
    before = ""
    if request.body:
        before, arguments = _body(exchange)
        parts += arguments
    return before + " ".join(parts)


def run_command(execution: Execution, operation: str) -> str:
    """The command that exercises one operation again, against the same target, as the execution did."""
    parts = ["conformance", "run", *_carried(execution.command)]
    if "--contract" not in parts and execution.contract.name != "portkey":
        parts += ["--contract", execution.contract.name]
    if operation:
        parts += ["--only", operation]
    parts += ["--seed", str(execution.seed), "--effort", execution.effort]
    return " ".join(shlex.quote(visible(part)) for part in parts)


def _carried(command: str) -> list[str]:
    """The options of a command line that say what is judged, and against what."""
    try:
        words = shlex.split(command)
    except ValueError:  # an unclosed quote: nothing of it can be trusted
        return []
    kept: list[str] = []
    for at, word in enumerate(words):
        name, equals, value = word.removeprefix("--conformance-").partition("=")
        option = name if name.startswith("--") else f"--{name}"
        if option in _CARRIED and word.startswith("--"):
            following = value if equals else next(iter(words[at + 1 : at + 2]), "")
            kept += [option, following] if following else []
    return kept


def _header(name: str, value: str, credential: Credential) -> str:
    name, value = visible(name), visible(value.replace("\n", " "))
    if not value:
        return shlex.quote(f"{name};")  # how curl is told to send an empty one
    if name.lower() in _SECRET_HEADERS and not _PLACEHOLDER.search(value):
        scheme = _SCHEME.match(value)
        return shlex.quote(f"{name}: {scheme.group() if scheme else ''}") + f'"${credential.name}_KEY"'
    return _quote(f"{name}: {value}")


def _quote(text: str) -> str:
    """One shell word; every placeholder in it becomes a variable, all else is literal."""
    text = visible(text)
    word, end = "", 0
    for match in _PLACEHOLDER.finditer(text):
        literal = text[end : match.start()]
        word += (shlex.quote(literal) if literal else "") + f'"${_variable(match.group())}"'
        end = match.end()
    rest = text[end:]
    return word + (shlex.quote(rest) if rest or not word else "")


def _variable(placeholder: str) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", unquote(placeholder)).strip("_").upper()
    return f"{name}_KEY" if name in Credential.__members__ else name


def _body(exchange: Exchange) -> tuple[str, list[str]]:
    body = exchange.request.body
    if len(body) <= _INLINE_LIMIT:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if text and visible(text) == text:
            return "", ["--data-raw", _quote(text)]
    if len(body) <= _BINARY_INLINE_LIMIT:
        encoded = base64.b64encode(body).decode("ascii")
        return f"printf %s {encoded} | base64 -d | ", ["--data-binary", "@-"]
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", exchange.id) or "exchange"
    note = f"# first save the request body of {name} ({len(body):,} bytes, see the evidence) as {name}.bin\n"
    return note, ["--data-binary", f"@{name}.bin"]
