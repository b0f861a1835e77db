"""What an execution created, so that it can prove what became of it, also after it was killed.

One file per worker, one JSON object a line, each written whole before the next step is taken:
the intent goes to disk before the create request goes out.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing. ``id`` is empty when its creation was never confirmed; ``marker`` is then the only
    way to find it. ``context`` holds the path parameters its removal needs, such as its parent."""

    key: str
    resource: str
    operation: str
    item: str
    marker: str = ""
    id: str = ""
    how: str = ""  # it was removed
    reason: str = ""  # why it had to stay, or was left
    context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """``created`` = ``removed`` + ``residue`` + ``leftover``; to the ``unconfirmed`` no answer came."""

    created: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    residue: tuple[Entry, ...] = ()
    leftover: tuple[Entry, ...] = ()
    unconfirmed: tuple[Entry, ...] = ()

    @property
    def clean(self) -> bool:
        return not (self.leftover or self.unconfirmed)


_CHANGES = ("id", "how", "reason", "context")


class Ledger:
    """Append-only, safe among threads. ``worker`` keeps the keys of several files apart."""

    def __init__(self, path: str | os.PathLike[str], worker: str = "0") -> None:
        self.path = Path(path)
        self._worker = worker
        self._count = 0
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def intent(self, resource: str, operation: str, item: str, marker: str = "") -> str:
        """Before a create request is sent; returns the key that the other calls take."""
        with self._lock:
            self._count += 1
            key = f"{self._worker}-{self._count}"
        self._write("intent", key, resource=resource, operation=operation, item=item, marker=marker)
        return key

    def created(self, key: str, identifier: str, context: Mapping[str, Any] | None = None) -> None:
        """The create request was answered: the thing exists under this id."""
        self._write("created", key, id=identifier, context=dict(context or {}))

    def failed(self, key: str, reason: str) -> None:
        """The create request was refused: there is nothing to remove."""
        self._write("failed", key, reason=reason)

    def removed(self, key: str, how: str) -> None:
        """It is gone: deleted, or with the parent it belonged to."""
        self._write("removed", key, how=how)

    def residue(self, key: str, reason: str) -> None:
        """It stays, because the contract gives no way to remove it."""
        self._write("residue", key, reason=reason)

    def left(self, key: str, reason: str) -> None:
        """It resists removal: what was tried last, and what came of it."""
        self._write("left", key, reason=reason)

    def _write(self, event: str, key: str, **values: object) -> None:
        line = json.dumps({"event": event, "key": key, **values}, default=str) + "\n"
        with self._lock:
            os.write(self._file, line.encode("utf-8", "backslashreplace"))

    @staticmethod
    def read(paths: Iterable[str | os.PathLike[str]]) -> Summary:
        """What all these ledgers say together; a line that was cut by a kill is left out."""
        entries: dict[str, Entry] = {}
        state: dict[str, str] = {}
        for line in _lines(paths):
            event, key = line["event"], line["key"]
            if event == "intent":
                entries[key] = Entry(key, line["resource"], line["operation"], line["item"], line["marker"])
                state[key] = event
            elif key in entries:
                changes: dict[str, Any] = {
                    name: line[name] for name in ("id", "how", "reason", "context") if name in line
                }
                entries[key] = replace(entries[key], **changes)
                state[key] = event

        def those(*events: str) -> tuple[Entry, ...]:
            return tuple(entry for key, entry in entries.items() if state[key] in events)

        return Summary(
            created=those("created", "left", "removed", "residue"),
            removed=those("removed"),
            residue=those("residue"),
            leftover=those("created", "left"),
            unconfirmed=those("intent"),
        )


def _lines(paths: Iterable[str | os.PathLike[str]]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                try:
                    value = json.loads(line)
                except ValueError:
                    continue
                if isinstance(value, dict) and "event" in value and "key" in value:
                    yield value
