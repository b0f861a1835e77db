"""Secrets out, evidence in: by value wherever a known secret occurs, and by the name of its place.

Equal values get equal placeholders, in every worker of an execution: ``[[owner]]`` for what the
target file names, ``[[secret:1f2e3d4c]]`` (a keyed hash) for what is learned on the way. Names are
matched whole, never in part: ``max_tokens`` and ``passed`` are no credentials.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from urllib.parse import quote, quote_plus

Headers = tuple[tuple[str, str], ...]

SECRET_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-token",
        "x-goog-api-key",
        "x-portkey-api-key",
        "x-portkey-aws-access-key-id",
        "x-portkey-aws-secret-access-key",
        "x-portkey-aws-session-token",
        "x-portkey-azure-ad-token",
        "x-portkey-azure-entra-client-secret",
        "x-portkey-virtual-key",
    }
)
# ``token`` is missing on purpose: it is the text of a token in log probabilities.
SECRET_FIELDS = frozenset(
    {
        "access_token",
        "accesstoken",
        "api_key",
        "apikey",
        "auth_token",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "azure_entra_client_secret",
        "bearer_token",
        "client_secret",
        "clientsecret",
        "id_token",
        "key",
        "password",
        "private_key",
        "privatekey",
        "refresh_token",
        "secret",
        "secret_key",
        "secretkey",
        "session_token",
        "signing_secret",
        "vault_secret_id",
        "vault_token",
        "webhook_secret",
    }
    | SECRET_HEADERS
)
_LEARN_FROM = 16  # characters; a shorter value, or one with spaces, is redacted in its place only
_LEARN_MOST = 20_000
_WORD = 8  # bytes per step of the search
_ALIGNED = 2 * _WORD - 1  # a pattern of this length covers a whole aligned word wherever it lies
_SIGNATURES = "x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|sig|signature"

_NAMES = "|".join(sorted(map(re.escape, SECRET_FIELDS), key=len, reverse=True))
# The second pattern is for JSON held in a string of JSON. Neither asks for the closing quote: a body
# that was cut may lack it.
_FIELDS = (
    re.compile(rf'"(?:{_NAMES})"\s*:\s*"(?P<value>(?:[^"\\]|\\.)*)'.encode(), re.I | re.S),
    re.compile(
        rf'\\"(?:{_NAMES})\\"\s*:\s*\\"(?P<value>(?:[^"\\]|\\[^"\\]|\\\\(?:[^"\\]|\\["\\]))*)'.encode(),
        re.I | re.S,
    ),
)
# How every name of a secret field ends, so that most bodies are done with after a plain search.
ENDINGS = ("key", "token", "secret", "password", "cookie", "authorization", "key_id", "secret_id", "key-id")
_HINTS = tuple(f"{ending}{mark}".encode() for ending in ENDINGS for mark in ('"', '\\"'))
_QUERY = re.compile(rf"(?i)(?P<name>[?&](?:{_NAMES}|{_SIGNATURES})=)(?P<value>[^&#\s\"'<>\\]+)".encode())
_PLACEHOLDER = re.compile(r"\[\[[a-z0-9:_ -]+\]\]")
_MASKED = re.compile(r"\*{3}|•{3}|\.{3}|x{6}|X{6}")
_COOKIE = re.compile(r"(?<==)[^;,\s]+")


class Redactor:
    """Knows the secrets of one execution. ``named`` are (name, value) pairs, the first name of a value
    wins; ``salt`` keys the placeholders of learned secrets, by default from the named values."""

    def __init__(self, named: Iterable[tuple[str, str]] = (), *, salt: bytes | None = None) -> None:
        named = tuple(named)
        if salt is None:
            salt = hashlib.blake2b("\0".join(value for _, value in named).encode("utf-8", "replace")).digest()
        self._salt = hashlib.blake2b(salt, digest_size=32).digest()
        self._placeholders: dict[str, str] = {}
        self._patterns: dict[bytes, str] = {}  # every form of every secret → its placeholder
        self._short: list[bytes] = []  # patterns too short for the aligned search
        self._words: set[int] = set()  # every word of every longer pattern
        self._known_headers: dict[tuple[str, str], str] = {}
        for name, value in named:
            self._add(value, f"[[{name}]]")

    def placeholder(self, value: str) -> str:
        """The placeholder of a value: its name if it has one, else a keyed hash."""
        known = self._placeholders.get(value)
        if known is not None:
            return known
        digest = hashlib.blake2b(value.encode("utf-8", "replace"), key=self._salt, digest_size=4)
        return f"[[secret:{digest.hexdigest()}]]"

    def learn(self, value: str) -> bool:
        """From now on replace this value wherever it occurs; False when it is no likely secret."""
        if value in self._placeholders:
            return True
        if len(value) < _LEARN_FROM or len(set(value)) < 6 or any(char.isspace() for char in value):
            return False
        if _MASKED.search(value) or _PLACEHOLDER.search(value) or len(self._placeholders) >= _LEARN_MOST:
            return False
        self._add(value, self.placeholder(value))
        return True

    def learn_from(self, body: bytes) -> None:
        """Learn the secrets that a response body carries in fields named like credentials."""
        if not _has_fields(body):
            return
        for depth, pattern in enumerate(_FIELDS):
            for match in pattern.finditer(body):
                self.learn(_unescaped(match["value"], depth))

    def body(self, content: bytes) -> bytes:
        """A body with its secrets replaced; every other byte stays as it was."""
        content = self._by_value(content)
        if _has_fields(content):
            for depth, pattern in enumerate(_FIELDS):
                content = pattern.sub(partial(self._field, depth), content)
        if b"=" in content and (b"ig" in content or b"IG" in content or b"-" in content) and b"?" in content:
            content = _QUERY.sub(self._query, content)
        return content

    def text(self, value: str) -> str:
        """A line of text, such as the detail of an error."""
        return self._by_value(value.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def url(self, value: str) -> str:
        """A URL; placeholders in it are percent-encoded, so that it stays one."""
        found = self._by_value(value.encode("utf-8", "surrogatepass"), encode=True)
        if b"=" in found:
            found = _QUERY.sub(self._query, found)
        return found.decode("utf-8", "surrogatepass")

    def headers(self, headers: Headers) -> Headers:
        """Header values: those of credential headers whole, any other by value."""
        joined = "\n".join([value for _, value in headers]).encode("utf-8", "surrogatepass")
        rest = self._suspect(joined)
        return tuple((name, self._header(name, value, rest)) for name, value in headers)

    def _header(self, name: str, value: str, search: bool) -> str:
        lowered = name.lower()
        if lowered not in SECRET_HEADERS:
            value = self.text(value) if search else value
            if "=" in value and "?" in value:
                return _QUERY.sub(self._query, value.encode("utf-8", "surrogatepass")).decode(
                    "utf-8", "surrogatepass"
                )
            return value
        known = self._known_headers.get((lowered, value))
        if known is None:
            known = self._credential_header(lowered, value)
            if len(self._known_headers) < 1000:
                self._known_headers[lowered, value] = known
        return known

    def _credential_header(self, name: str, value: str) -> str:
        replaced = self.text(value)
        if name == "set-cookie":
            first, semicolon, attributes = replaced.partition(";")
            return _COOKIE.sub(lambda match: self._once(match[0]), first, count=1) + semicolon + attributes
        if name == "cookie":
            return _COOKIE.sub(lambda match: self._once(match[0]), replaced)
        scheme, space, credential = replaced.partition(" ")
        if space and scheme.isalpha():
            return f"{scheme} {self._once(credential.strip())}"
        return self._once(replaced)

    def _once(self, value: str) -> str:
        return value if not value or _PLACEHOLDER.fullmatch(value) else self.placeholder(value)

    def _field(self, depth: int, match: re.Match[bytes]) -> bytes:
        value = _unescaped(match["value"], depth)
        if not value or _PLACEHOLDER.fullmatch(value) or _MASKED.search(value):
            return match[0]
        head = match[0][: len(match[0]) - len(match["value"])]
        return head + self.placeholder(value).encode()

    def _query(self, match: re.Match[bytes]) -> bytes:
        value = match["value"].decode("utf-8", "replace")
        if "[[" in value or "%5B%5B" in value:
            return match[0]
        return match["name"] + quote(self.placeholder(value), safe="").encode()

    def _suspect(self, content: bytes) -> bool:
        """Whether a secret may occur: never wrongly no. Looks at every eighth byte position only."""
        if any(pattern in content for pattern in self._short):
            return True
        whole = len(content) - len(content) % _WORD
        return not self._words.isdisjoint(memoryview(content)[:whole].cast("Q"))

    def _by_value(self, content: bytes, *, encode: bool = False) -> bytes:
        if not self._suspect(content):
            return content
        present = [pattern for pattern in self._patterns if pattern in content]
        if not present:
            return content
        present.sort(key=len, reverse=True)
        either = re.compile(b"|".join(_whole_word(pattern) for pattern in present))

        def replaced(match: re.Match[bytes]) -> bytes:
            placeholder = self._patterns[match[0]]
            return (quote(placeholder, safe="") if encode else placeholder).encode()

        return either.sub(replaced, content)

    def _add(self, value: str, placeholder: str) -> None:
        if not value or value in self._placeholders:
            return
        self._placeholders[value] = placeholder
        for pattern in _forms(value):
            if pattern in self._patterns:
                continue
            self._patterns[pattern] = placeholder
            if len(pattern) < _ALIGNED:
                self._short.append(pattern)
                continue
            for offset in range(_WORD):
                word = pattern[offset : offset + _WORD]
                self._words.update(memoryview(word).cast("Q"))
        self._known_headers.clear()


def _forms(value: str) -> Iterator[bytes]:
    """The ways a value may be written, as bytes; the plain one first, each once."""
    plain = value.encode("utf-8", "surrogatepass")
    forms = [
        plain,
        json.dumps(value)[1:-1].encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"),
        value.replace("/", "\\/").encode("utf-8", "surrogatepass"),
        html.escape(value).encode("utf-8", "surrogatepass"),
        quote(plain, safe="").encode(),
        quote(plain).encode(),
        quote_plus(plain).encode(),
    ]
    forms += [re.sub(rb"%[0-9A-F]{2}", lambda match: match[0].lower(), form) for form in forms[5:]]
    if len(plain) >= 8:
        forms += [plain.hex().encode(), plain.hex().upper().encode(), *_base64_forms(plain)]
    return iter(dict.fromkeys(forms))


def _base64_forms(plain: bytes) -> Iterator[bytes]:
    """Base64 of the value alone, and what is certain of it inside longer content, at each alignment."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(plain)
        yield whole
        yield whole.rstrip(b"=")
        for lead in (0, 1, 2):
            inner = encode(b"\0" * lead + plain).rstrip(b"=")
            skipped = (0, 2, 3)[lead]  # characters that depend on what stands before
            certain = (lead + len(plain)) * 8 // 6  # those that do not depend on what follows
            if certain - skipped >= 10:
                yield inner[skipped:certain]


def _whole_word(pattern: bytes) -> bytes:
    """A short value counts only where it stands alone, or ordinary words would be cut up."""
    if len(pattern) >= 8:
        return re.escape(pattern)
    return rb"(?<![A-Za-z0-9])" + re.escape(pattern) + rb"(?![A-Za-z0-9])"


def _has_fields(body: bytes) -> bool:
    """Whether a field named like a credential may be there; quick, and never wrongly no."""
    lowered = body.lower()
    return any(hint in lowered for hint in _HINTS)


def _unescaped(value: bytes, depth: int) -> str:
    """The text of a JSON string literal that lies ``depth`` strings deep, as far as it can be read."""
    text = value.decode("utf-8", "replace")
    for _ in range(depth + 1):
        if "\\" not in text:
            break
        try:
            text = json.loads(f'"{text}"', strict=False)
        except ValueError:
            break
    return text
