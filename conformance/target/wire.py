"""What goes on the wire and what comes off it: URLs, headers that a client may send, bounded bodies."""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import Iterable
from urllib.parse import quote

import httpx

from conformance.target.profile import Tls

Headers = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REFUSED_CHARACTERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The client frames the message; a case that set these would break the connection, not the target.
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"}
)


class UnsendableError(Exception):
    """A request that cannot be put on the wire; the message says why."""


class BodyError(Exception):
    """A content coding that does not hold what it says."""


class BodyTooLargeError(Exception):
    """More bytes than the limit, before or after decoding."""


def join_url(base: str, path: str, query: Iterable[tuple[str, str]]) -> str:
    """The URL of a percent-encoded path below a base; ``query`` is encoded here."""
    if not path.startswith("/"):
        raise UnsendableError(f"the path {path!r} does not start with a slash")
    pairs = "&".join([f"{_encode(name)}={_encode(value)}" for name, value in query])
    return f"{base}{path}?{pairs}" if pairs else f"{base}{path}"


def _encode(text: str) -> str:
    return text if text.isalnum() and text.isascii() else quote(text, safe="", errors="replace")


def sendable(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """The headers that HTTP allows: impossible names and the client's own are dropped, values lose
    control characters and outer blanks, and what is not Latin-1 goes as UTF-8."""
    found = []
    for name, value in headers:
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            continue
        text = _REFUSED_CHARACTERS.sub("", value).strip(" \t")
        try:
            content = text.encode("latin-1")
        except UnicodeEncodeError:
            content = text.encode("utf-8", "replace")
        # An empty value is legal; a scheme with nothing behind it is not sent with its blank.
        found.append((name.encode("ascii"), content))
    return found


def shown(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Header bytes as text, one character a byte."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def ssl_context(tls: Tls, *, needed: bool) -> ssl.SSLContext:
    """The TLS settings of a target; a bare context when no base URL uses TLS."""
    if not needed:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca:
        context = ssl.create_default_context(cafile=tls.ca)
    else:
        context = httpx.create_ssl_context(verify=True, trust_env=False)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


class Body:
    """Collects a body chunk by chunk, undoes gzip or deflate, and stops at ``limit`` bytes.

    ``content`` is whatever was decoded so far, also after an error. Other codings stay as they came.
    """

    def __init__(self, coding: str | None, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._coding = (coding or "").strip().lower()
        self._decoder = self._decoders() if self._coding in ("gzip", "x-gzip", "deflate") else None

    def _decoders(self) -> zlib._Decompress:
        return zlib.decompressobj(zlib.MAX_WBITS | (32 if self._coding == "deflate" else 16))

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    @property
    def received(self) -> int:
        """Bytes off the wire."""
        return self._received

    def feed(self, chunk: bytes) -> None:
        """Raises BodyTooLargeError at the limit, BodyError for a broken coding."""
        self._received += len(chunk)
        if self._decoder is None:
            self._keep(chunk)
        else:
            self._decode(chunk)
        if self._received > self._limit:
            raise BodyTooLargeError

    def finish(self) -> None:
        """Raises BodyError when the coding ended early."""
        if self._decoder is not None and self._received and not self._decoder.eof:
            raise BodyError(f"the {self._coding} body ends early")

    def _keep(self, chunk: bytes) -> None:
        room = self._limit - self._size
        self._parts.append(chunk[:room] if len(chunk) > room else chunk)
        self._size += len(self._parts[-1])
        if len(chunk) > room:
            raise BodyTooLargeError

    def _decode(self, chunk: bytes) -> None:
        decoder = self._decoder
        while chunk and decoder is not None:
            if decoder.eof:
                if self._coding == "deflate":
                    return  # what follows the end is no part of the body
                decoder = self._decoder = self._decoders()  # gzip may have several members
            try:
                self._keep(decoder.decompress(chunk, min(self._limit - self._size + 1, 1 << 20)))
            except zlib.error as error:
                if self._coding == "deflate" and not self._size and self._received == len(chunk):
                    decoder = self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)  # without zlib's header
                    self._coding = "raw deflate"
                    continue
                raise BodyError(f"content-encoding {self._coding}: {error}") from None
            chunk = decoder.unconsumed_tail or decoder.unused_data
