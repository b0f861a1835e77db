"""Makes foreign text inert: whatever a target sends may be shown, none of it may act."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass

_ANSI = re.compile(
    r"[\x1b␛]\][^\x07\x1b␇␛]*(?:[\x07␇]|[\x1b␛]\\)"  # operating system commands, terminated
    r"|(?:[\x1b␛]\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor
    r"|[\x1b␛][@-Z\\^_]"  # the two-character ones
)
# Invisible, or able to reorder what stands beside them: shown by their number instead.
_HIDDEN = (
    *range(0x80, 0xA0),
    0xAD,
    0x61C,
    0x180E,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    0xFFFE,
    0xFFFF,
    *range(0xE0000, 0xE0080),
)
_VISIBLE: dict[int, str] = (
    {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
    | {0x7F: "\u2421"}
    | {code: f"⟨U+{code:04X}⟩" for code in _HIDDEN}
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)
# Half a megabyte parses and prints in a few milliseconds; more is cut before it is looked at.
_PRETTY_LIMIT = 512 * 1024


def visible(text: str) -> str:
    """``text`` with every control, bidirectional and invisible character drawn as a symbol.

    Tabs and line feeds stay. The result is legal XML 1.0 text and encodes as UTF-8.
    """
    return text.translate(_VISIBLE)


def plain(text: str, limit: int = 300) -> str:
    """One line for a terminal: escape sequences gone, other control characters drawn, clipped."""
    bounded = text[: limit * 8]
    return clip(visible(" ".join(_ANSI.sub("", bounded).split())), limit)


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters; what is missing is counted at the end."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… (+{len(text) - limit:,} characters)"


def slug(name: str) -> str:
    """A folder name for a group: lower case ASCII letters, digits, hyphens; never empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "group"


def slugs(names: tuple[str, ...]) -> dict[str, str]:
    """A folder name for each name, no two alike."""
    given: dict[str, str] = {}
    for name in names:
        wanted = candidate = slug(name)
        count = 2
        while candidate in given.values():
            candidate, count = f"{wanted}-{count}", count + 1
        given.setdefault(name, candidate)
    return given


@dataclass(frozen=True, slots=True)
class Shown:
    """A body made readable: inert ``text``, and a ``note`` on what was done to it."""

    text: str
    note: str = ""


def show_body(body: bytes, media_type: str = "", limit: int = 8_000) -> Shown:
    """A body for a person: JSON indented, text as is, binary as hex; at most ``limit`` characters."""
    if not body:
        return Shown("", "no body")
    head = body[:_PRETTY_LIMIT]
    try:
        # Incremental, since the cut may fall within a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) == len(body))
        notes = []
    except UnicodeDecodeError as error:
        if _looks_textual(media_type):
            text, notes = head.decode("utf-8", errors="replace"), [f"invalid UTF-8 at byte {error.start:,}"]
        else:
            rows = (head[at : at + 16] for at in range(0, min(len(head), 256), 16))
            hexed = "\n".join(f"{index * 16:04x}  {row.hex(' ')}" for index, row in enumerate(rows))
            return Shown(hexed, f"binary, {len(body):,} bytes, the first {min(len(body), 256)} shown")
    if len(head) == len(body) and text[:64].lstrip()[:1] in ("{", "["):
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):  # not JSON, or nested beyond reason: shown as it came
            notes.append("not readable as JSON")
    if len(body) > limit and len(text) > limit:
        notes.append(f"cut: {len(body):,} bytes in all, all of them in the evidence")
    elif len(text) > limit:
        notes.append("cut")
    return Shown(visible(text[:limit].replace("\r\n", "\n")), "; ".join(notes))


def _looks_textual(media_type: str) -> bool:
    return media_type.startswith("text/") or any(word in media_type for word in ("json", "xml", "form-url"))
