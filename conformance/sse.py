"""Bytes to server-sent events, by the WHATWG rules, however the bytes are cut.

``parse`` takes a whole body; ``Parser`` takes it piece by piece. Neither raises for anything a
target sends: what breaks the rules or the limit is told by ``tail``, ``exceeded`` and ``malformed``.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event. ``event`` is "message" when the stream named none; ``id`` is the last
    one seen so far; ``retry`` (milliseconds) only on the event it came with."""

    event: str
    data: str
    id: str = ""
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A body read to its end. ``tail`` is what no empty line completed: such an event never fires.

    ``exceeded``: an event was larger than the limit and reading stopped there. ``malformed``: the
    bytes are not UTF-8.
    """

    events: tuple[Event, ...]
    tail: str = ""
    exceeded: bool = False
    malformed: bool = False

    @property
    def complete(self) -> bool:
        return not (self.tail or self.exceeded or self.malformed)


class Parser:
    """Incremental: ``feed`` returns the events that became complete; ``tail`` is what is left."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.exceeded = False
        self.malformed = False
        self._limit = max_event_bytes
        self._rest: list[bytes] = []  # pieces of an unfinished line
        self._length = 0  # of those pieces
        self._started = False
        self._skip_newline = False  # the last byte was CR: an LF that follows belongs to it
        self._lines: list[str] = []  # of the event in the making, as they came
        self._size = 0
        self._data: list[str] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, chunk: bytes) -> tuple[Event, ...]:
        """The events that ``chunk`` completed, in order; none any more once the limit was passed."""
        if self.exceeded or not chunk:
            return ()
        if self._skip_newline:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        self._rest.append(chunk)
        self._length += len(chunk)
        if not self._started:
            start = b"".join(self._rest)
            if len(start) < len(_BOM) and _BOM.startswith(start):
                return ()
            self._started = True
            chunk = start.removeprefix(_BOM)
            self._rest, self._length = [chunk], len(chunk)
        events = self._lines_of(chunk) if b"\n" in chunk or b"\r" in chunk else ()
        if self._size + self._length > self._limit:
            self.exceeded = True
        return events

    def _lines_of(self, chunk: bytes) -> tuple[Event, ...]:
        self._skip_newline = chunk.endswith(b"\r")
        lines = b"".join(self._rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        self._rest, self._length = [rest], len(rest)
        events = []
        for line in lines:
            self._size += len(line)
            if self._size > self._limit:
                break
            event = self._line(self._text(line))
            if event is not None:
                events.append(event)
        return tuple(events)

    @property
    def tail(self) -> str:
        """The text after the last completed event, comments and blank lines left out."""
        rest = b"".join(self._rest).decode("utf-8", "replace")
        return "\n".join([*self._lines, rest] if rest and not rest.startswith(":") else self._lines)

    def _text(self, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.malformed = True
            return line.decode("utf-8", "replace")

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            return None
        self._lines.append(line)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 16:
            self._retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        event = None
        if self._data:
            event = Event(self._event or "message", "\n".join(self._data), self._id, self._retry)
        self._data, self._event, self._retry = [], "", None
        self._lines, self._size = [], 0
        return event


def read(body: bytes, *, max_event_bytes: int = MAX_EVENT_BYTES) -> Stream:
    """A whole body with all that can be said of it."""
    parser = Parser(max_event_bytes=max_event_bytes)
    return Stream(parser.feed(body), parser.tail, parser.exceeded, parser.malformed)


def parse(body: bytes) -> tuple[Event, ...]:
    """The complete events of a whole body."""
    return Parser().feed(body)
