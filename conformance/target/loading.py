"""A target file (TOML) to a Target; every mistake is one TargetFileError naming key and value."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.errors import TargetFileError
from conformance.model import Credential, Plane
from conformance.target.credentials import KEY_HEADER, PLAIN_HEADERS, Credentials, Secret, bare
from conformance.target.profile import (
    ALLOWANCES,
    CAPABILITIES,
    ROLES,
    Limits,
    Pace,
    Selection,
    Target,
    Timeouts,
    Tls,
    unknown_name,
)

MAX_FILE_BYTES = 1024 * 1024
MIN_SECRET = 4  # a shorter value cannot be told from ordinary text when it is redacted
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_SECRET_NAME = re.compile(r"(^|[_-])(key|secret|token|password)$")
_KEYS = (
    "name",
    "base_url",
    "control_url",
    "public_url",
    "profile",
    "capabilities",
    "allow",
    "concurrency",
    "max_body_bytes",
    "proxy",
    "headers",
    "credentials",
    "models",
    "given",
    "include",
    "exclude",
    "timeouts",
    "tls",
    "rate",
    "budget",
)


def load_target(path: str | os.PathLike[str], *, env: Mapping[str, str] | None = None) -> Target:
    """Read a target file. ``env`` fills ``${NAME}`` in values; paths in it are relative to the file.

    Raises TargetFileError for a file that cannot be read, TOML that cannot be parsed (with line and
    column), and every key or value that is not allowed.
    """
    file = Path(path)
    source = str(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise TargetFileError(source, "file", error.strerror or str(error)) from None
    if len(content) > MAX_FILE_BYTES:
        raise TargetFileError(source, "file", f"larger than {MAX_FILE_BYTES} bytes")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise TargetFileError(source, "file", f"not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise TargetFileError(source, "file", f"not TOML: {error}") from None
    return target_from(table, source=source, default_name=file.stem, folder=file.parent, env=env)


def target_from(
    table: Mapping[str, Any],
    *,
    source: str = "options",
    default_name: str = "target",
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Target:
    """The same from a mapping with the keys of the file; for options of a command line."""
    read = _Reader(source, table, "", os.environ if env is None else env)
    read.only(_KEYS)
    base = read.url("base_url")
    if base is None:
        raise TargetFileError(source, "base_url", "missing", hint='write base_url = "https://host/v1"')
    given, given_lists = read.table("given").givens()
    return Target(
        name=read.text("name") or default_name,
        source=source,
        base_urls={
            Plane.DATA: base,
            Plane.CONTROL: read.url("control_url") or base,
            Plane.PUBLIC: read.url("public_url") or base.removesuffix("/v1"),
        },
        headers=read.table("headers").headers(),
        secret_headers=read.table("headers").secret_headers(),
        credentials=_credentials(read.table("credentials")),
        models=read.table("models").texts(ROLES),
        given=given,
        given_lists=given_lists,
        secret_given=read.table("given").secret_texts(),
        profile=read.text("profile") or "all",
        capabilities=read.words("capabilities", CAPABILITIES),
        allow=read.words("allow", ALLOWANCES),
        concurrency=read.whole("concurrency", 8, least=1, most=256),
        max_body_bytes=read.whole("max_body_bytes", 8 * 1024 * 1024, least=1024, most=1 << 30),
        proxy=_proxy(read),
        selection=_selection(read),
        timeouts=_timeouts(read.table("timeouts")),
        tls=_tls(read.table("tls"), folder),
        pace=_pace(read.table("rate")),
        budget=_limits(read.table("budget")),
    )


def announced(announcement: Mapping[str, Any]) -> Target:
    """The target of an embedded reference gateway, from the JSON object it announces itself with:
    ``base_urls`` by plane, ``credentials`` (a key or a header map each), ``models``, ``given``.

    Everything is allowed on it. Raises TargetFileError when the object is not of that shape.
    """
    urls = announcement.get("base_urls") or {}
    table: dict[str, Any] = {
        "name": announcement.get("name", "reference"),
        "base_url": urls.get("data"),
        "control_url": urls.get("control") or urls.get("data"),
        "public_url": urls.get("public") or str(urls.get("data", "")).removesuffix("/v1"),
        "credentials": {
            name: {"key": value} if isinstance(value, str) else value
            for name, value in (announcement.get("credentials") or {}).items()
            if name != Credential.ABSENT
        },
        "models": {role: name for role, name in (announcement.get("models") or {}).items() if role in ROLES},
        "given": announcement.get("given") or {},
        "capabilities": [
            word for word in announcement.get("capabilities", CAPABILITIES) if word in CAPABILITIES
        ],
        "allow": list(ALLOWANCES),
    }
    for key in ("concurrency", "timeouts", "headers"):
        if key in announcement:
            table[key] = announcement[key]
    from dataclasses import replace

    return replace(target_from(table, source="embedded reference", env={}), embedded=True)


class _Reader:
    """Typed access to one table; ``prefix`` is its dotted path, for messages."""

    def __init__(self, source: str, table: Mapping[str, Any], prefix: str, env: Mapping[str, str]) -> None:
        self.source = source
        self.values = table
        self.prefix = prefix
        self.env = env

    def fail(self, key: str, message: str, hint: str = "") -> TargetFileError:
        return TargetFileError(self.source, f"{self.prefix}{key}", message, hint=hint)

    def only(self, allowed: Iterable[str]) -> _Reader:
        names = tuple(allowed)
        for key in self.values:
            if key not in names:
                error = unknown_name(self.source, f"{self.prefix}{key}", key, names)
                raise self.fail(key, "unknown key", error.hint)
        return self

    def table(self, key: str) -> _Reader:
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise self.fail(key, f"{value!r} is not a table", f"write [{self.prefix}{key}] above its keys")
        return _Reader(self.source, value, f"{self.prefix}{key}.", self.env)

    def expand(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self.fail(key, f"is of type {type(value).__name__}", "a text in quotes")

        def replaced(match: re.Match[str]) -> str:
            name = match.group(1)
            if not self.env.get(name):
                state = "is empty" if name in self.env else "is not set"
                raise self.fail(key, f"the environment variable {name} {state}", f"export {name}=…")
            return self.env[name]

        return _VARIABLE.sub(replaced, value)

    def text(self, key: str) -> str | None:
        if key not in self.values:
            return None
        value = self.expand(key, self.values[key]).strip()
        if not value:
            raise self.fail(key, "is empty")
        return value

    def url(self, key: str) -> str | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError as error:
            raise self.fail(key, f"{value!r} is not a URL: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self.fail(key, f"{value!r} is not a URL", "allowed: http://host… or https://host…")
        if parts.username or parts.password:
            raise self.fail(key, "holds a user name or password", "credentials go under [credentials.owner]")
        if parts.query or parts.fragment:
            raise self.fail(key, f"{value!r} has a query or fragment", "write only scheme, host and path")
        return value.rstrip("/")

    def words(self, key: str, allowed: Iterable[str] | None = None) -> frozenset[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.fail(key, f"{value!r} is not a list of texts", f'write {key} = ["…", "…"]')
        known = None if allowed is None else tuple(allowed)
        for word in value:
            if known is not None and word not in known:
                error = unknown_name(self.source, key, word, known)
                raise self.fail(key, f"{word!r} is not known", f"{error.hint}; allowed: {', '.join(known)}")
        return frozenset(value)

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.fail(key, f"{value!r} is not allowed", f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, default: float, *, most: float = 86400.0, zero: bool = False) -> float:
        value = self.values.get(key, default)
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not right or not (0 <= value <= most) or (value == 0 and not zero):
            least = "0 or more" if zero else "more than 0"
            raise self.fail(key, f"{value!r} is not allowed", f"a number, {least}, at most {most:g}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"{value!r} is not allowed", "true or false")
        return value

    def texts(self, allowed: Iterable[str] | None = None) -> dict[str, str]:
        if allowed is not None:
            self.only(allowed)
        return {key: self.text(key) or "" for key in self.values}

    def givens(self) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Single values, and lists of several that may stand in for one another."""
        lists = {key: tuple(self.items(key)) for key, value in self.values.items() if isinstance(value, list)}
        return {key: self.text(key) or "" for key in self.values if key not in lists}, lists

    def items(self, key: str) -> list[str]:
        value = self.values[key]
        if not value:
            raise self.fail(key, "is empty")
        return [self.expand(key, item) for item in value]

    def secret_texts(self) -> frozenset[str]:
        """The keys of this table that are named like a credential."""
        named = frozenset(
            key
            for key, value in self.values.items()
            if isinstance(value, str) and _SECRET_NAME.search(key.lower()) and key != "metadata_key"
        )
        for key in named:
            self.long_enough(key, self.text(key) or "")
        return named

    def long_enough(self, key: str, value: str) -> None:
        if len(bare(value)) < MIN_SECRET:
            raise self.fail(key, f"shorter than {MIN_SECRET} characters", "too short to be redacted safely")

    def headers(self) -> dict[str, Secret]:
        found = {}
        for name in self.values:
            if not _HEADER_NAME.match(name):
                raise self.fail(name, "is not a header name", "letters, digits and hyphens")
            value = self.text(name) or ""
            if not value.isprintable() or not value.isascii():
                raise self.fail(name, "has a character that no header can carry", "printable ASCII only")
            found[name.lower()] = Secret(value)
        return found

    def secret_headers(self) -> frozenset[str]:
        """Header names whose value comes from the environment: who put it there wants it unseen."""
        named = [
            name
            for name, value in self.values.items()
            if isinstance(value, str) and _VARIABLE.search(value) and name.lower() not in PLAIN_HEADERS
        ]
        for name in named:
            self.long_enough(name, self.text(name) or "")
        return frozenset(name.lower() for name in named)


def _credentials(read: _Reader) -> Credentials:
    names = [credential.value for credential in Credential if credential is not Credential.ABSENT]
    read.only(names)
    found: dict[Credential, Mapping[str, Secret]] = {}
    for name in names:
        if name not in read.values:
            continue
        if isinstance(read.values[name], str):
            raise read.fail(name, "is a text", f'write {name} = {{ key = "${{VARIABLE}}" }}')
        table = read.table(name)
        given = dict(table.values)
        if "key" in given:
            if any(key.lower() == KEY_HEADER for key in given):
                raise table.fail("key", f"given twice: it is short for {KEY_HEADER}")
            given = {KEY_HEADER: given.pop("key"), **given}
            renamed = _Reader(read.source, given, table.prefix, read.env)
        else:
            renamed = table
        if not given:
            raise read.fail(name, "names no header", 'write key = "${VARIABLE}"')
        headers = renamed.headers()
        for header, value in headers.items():
            if header not in PLAIN_HEADERS:
                renamed.long_enough(header, value.reveal())
        found[Credential(name)] = headers
    return Credentials(found)


def _proxy(read: _Reader) -> Secret | None:
    value = read.text("proxy")
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise read.fail("proxy", "is not a proxy URL", "allowed: http://host:port or https://host:port")
    return Secret(value)


def _selection(read: _Reader) -> Selection:
    inside = read.table("include").only(("groups", "operations"))
    outside = read.table("exclude").only(("groups", "operations"))
    return Selection(
        inside.words("groups"),
        inside.words("operations"),
        outside.words("groups"),
        outside.words("operations"),
    )


def _timeouts(read: _Reader) -> Timeouts:
    read.only(("connect", "read", "total", "stream"))
    usual = Timeouts()
    return Timeouts(
        read.number("connect", usual.connect),
        read.number("read", usual.read),
        read.number("total", usual.total),
        read.number("stream", usual.stream),
    )


def _tls(read: _Reader, folder: Path | None) -> Tls:
    read.only(("ca", "cert", "key", "verify"))
    found: dict[str, str | None] = {}
    for key in ("ca", "cert", "key"):
        value = read.text(key)
        if value is not None:
            path = (folder or Path()) / Path(value).expanduser()
            if not path.is_file():
                raise read.fail(key, f"no file {value!r}", "a PEM file; relative to the target file")
            value = str(path)
        found[key] = value
    if found["key"] and not found["cert"]:
        raise read.fail("key", "needs cert beside it")
    return Tls(found["ca"], found["cert"], found["key"], read.flag("verify", True))


def _pace(read: _Reader) -> Pace:
    read.only(("per_second", "max_wait", "max_total_wait"))
    usual = Pace()
    return Pace(
        read.number("per_second", usual.per_second, most=100_000, zero=True),
        read.number("max_wait", usual.max_wait, zero=True),
        read.number("max_total_wait", usual.max_total_wait, zero=True),
    )


def _limits(read: _Reader) -> Limits:
    read.only(("requests", "tokens", "seconds"))
    most = 1_000_000_000
    return Limits(
        read.whole("requests", 1, least=1, most=most) if "requests" in read.values else None,
        read.whole("tokens", 1, least=1, most=most) if "tokens" in read.values else None,
        read.number("seconds", 1.0, most=7 * 86400.0) if "seconds" in read.values else None,
    )
