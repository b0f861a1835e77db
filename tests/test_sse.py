"""Server-sent events: the WHATWG rules, at any cut, within the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import sse
from conformance.sse import Event


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: one\n\n", (Event("message", "one"),)),
        (b"data:one\ndata:  two\ndata\n\n", (Event("message", "one\n two\n"),)),
        (b"event: done\ndata: [DONE]\r\n\r\n", (Event("done", "[DONE]"),)),
        (b"data: a\r\rdata: b\r\r", (Event("message", "a"), Event("message", "b"))),
        (b"\xef\xbb\xbfdata: a\n\n", (Event("message", "a"),)),
        (b": ping\n\ndata: a\n\n", (Event("message", "a"),)),
        (b"id: 7\ndata: a\n\ndata: b\n\n", (Event("message", "a", "7"), Event("message", "b", "7"))),
        (b"id: 7\nid: a\0b\ndata: a\n\n", (Event("message", "a", "7"),)),
        (
            b"retry: 12\ndata: a\n\nretry: x\ndata: b\n\n",
            (Event("message", "a", "", 12), Event("message", "b")),
        ),
        (b"event: lonely\n\ndata: a\n\n", (Event("message", "a"),)),
        (b"data\n\n", (Event("message", ""),)),
        (b"unknown: x\nDATA: no\n\n", ()),
        (b"", ()),
    ],
)
def test_the_rules(body: bytes, events: tuple[Event, ...]) -> None:
    """Each row of the standard's rules gives exactly these events."""
    assert sse.parse(body) == events


def test_an_event_that_no_empty_line_completes_never_fires() -> None:
    """A cut stream keeps its last event out of the events and shows it as the tail."""
    stream = sse.read(b"data: whole\n\nevent: cut\ndata: hal")
    assert [one.data for one in stream.events] == ["whole"]
    assert stream.tail == "event: cut\ndata: hal"
    assert not stream.complete


def test_one_newline_is_not_enough() -> None:
    """A line that ended without its empty line is still a tail."""
    assert sse.read(b"data: a\n").tail == "data: a"
    assert sse.read(b"data: a\n\n: bye\n").complete


def test_bytes_that_are_no_text_are_told() -> None:
    """Invalid UTF-8 is replaced, and said."""
    stream = sse.read(b"data: \xff\n\n")
    assert stream.malformed
    assert stream.events[0].data == "\ufffd"


def test_an_endless_event_stops_the_reading() -> None:
    """Neither one endless line nor endless lines of one event are collected beyond the limit."""
    line = sse.Parser(max_event_bytes=1000)
    lines = sse.Parser(max_event_bytes=1000)
    for _ in range(20):
        assert not line.feed(b"x" * 100)
        assert not lines.feed(b"data: " + b"x" * 100 + b"\n")
    assert line.exceeded
    assert lines.exceeded
    assert not line.feed(b"\n\ndata: late\n\n")


def test_the_limit_is_of_one_event_not_of_the_stream() -> None:
    """Many small events pass a limit that only one large event breaks."""
    stream = sse.read(b"data: 0123456789\n\n" * 500, max_event_bytes=100)
    assert len(stream.events) == 500
    assert not stream.exceeded


_PIECES = st.sampled_from(
    [b"data: ", b"data:", b"data", b"event: e", b"id: 1", b"retry: 5", b": c", b"\n", b"\r", b"\r\n", b"\n\n"]
)
_TEXT = st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace"))


@given(st.lists(st.one_of(_PIECES, _TEXT, st.just(b"\xef\xbb\xbf")), max_size=40), st.data())
def test_any_cut_gives_the_same_events(pieces: list[bytes], data: st.DataObject) -> None:
    """However a body is cut, its events and its tail are those of the whole."""
    body = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    parser = sse.Parser()
    events: list[Event] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        events.extend(parser.feed(body[start:end]))
    whole = sse.read(body)
    assert (tuple(events), parser.tail, parser.malformed) == (whole.events, whole.tail, whole.malformed)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30)))
def test_what_was_written_is_read(texts: list[str]) -> None:
    """Data written by the rules comes back unchanged, one event each."""
    body = "".join(f"data: {text}\n\n" for text in texts).encode()
    assert [event.data for event in sse.parse(body)] == texts
