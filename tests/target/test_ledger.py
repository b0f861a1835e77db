"""The ledger accounts for everything that was created, also when the execution was killed."""

from __future__ import annotations

import threading
from pathlib import Path

from conformance.target import Ledger


def test_everything_created_is_accounted_for(tmp_path: Path) -> None:
    """Removed, residue, left over, refused and unanswered creations each end in their own list."""
    with Ledger(tmp_path / "ledger-0.jsonl") as ledger:
        keys = [ledger.intent("thread", "createThread", "item", f"cf{n}") for n in range(6)]
        for number, key in enumerate(keys[:4]):
            ledger.created(key, f"thread_{number}", {"parent": "p"})
        ledger.removed(keys[0], "status 200")
        ledger.residue(keys[1], "no delete")
        ledger.left(keys[2], "status 500")
        ledger.failed(keys[4], "status 400")
    summary = Ledger.read([tmp_path / "ledger-0.jsonl"])
    assert [entry.id for entry in summary.created] == [f"thread_{n}" for n in range(4)]
    assert [entry.id for entry in summary.removed] == ["thread_0"]
    assert [(entry.id, entry.reason) for entry in summary.residue] == [("thread_1", "no delete")]
    assert [(entry.id, entry.reason) for entry in summary.leftover] == [
        ("thread_2", "status 500"),
        ("thread_3", ""),
    ]
    assert [entry.marker for entry in summary.unconfirmed] == ["cf5"]
    assert not summary.clean
    assert len(summary.created) == len(summary.removed) + len(summary.residue) + len(summary.leftover)
    assert summary.leftover[0].context == {"parent": "p"}


def test_a_second_attempt_may_clear_what_was_left(tmp_path: Path) -> None:
    """What a later clean-up removes is no leftover any more."""
    with Ledger(tmp_path / "ledger-0.jsonl") as ledger:
        key = ledger.intent("file", "createFile", "item")
        ledger.created(key, "file-1")
        ledger.left(key, "status 503")
        ledger.removed(key, "status 404")
    assert Ledger.read([ledger.path]).clean


def test_each_line_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    """The intent is readable while the ledger is still open, so a kill cannot lose it."""
    ledger = Ledger(tmp_path / "ledger-0.jsonl")
    ledger.intent("thread", "createThread", "item", "cfx")
    assert [entry.marker for entry in Ledger.read([ledger.path]).unconfirmed] == ["cfx"]
    with ledger.path.open("ab") as file:
        file.write(b'{"event": "created", "key": "0-1", "id": "thr')
    assert len(Ledger.read([ledger.path]).unconfirmed) == 1
    ledger.close()
    ledger.close()


def test_workers_and_threads_do_not_mix(tmp_path: Path) -> None:
    """Keys of several workers stay apart, and threads of one worker never share a key or cut a line."""
    ledgers = [Ledger(tmp_path / f"ledger-{worker}.jsonl", worker) for worker in ("gw0", "gw1")]

    def work(ledger: Ledger) -> None:
        for _ in range(50):
            key = ledger.intent("thread", "createThread", "item")
            ledger.created(key, key)
            ledger.removed(key, "status 200")

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary = Ledger.read([ledger.path for ledger in ledgers])
    for ledger in ledgers:
        ledger.close()
    assert len(summary.created) == len(summary.removed) == 400
    assert summary.clean
