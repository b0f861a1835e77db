"""``python -m conformance.reference``: the reference gateway as a process of its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import behaviours
from .core import Record
from .faults import FAULTS
from .server import Options, UnknownFaultError, announce, serve


def parser() -> argparse.ArgumentParser:
    """The options, shared with the ``serve`` command by name."""
    out = argparse.ArgumentParser(prog="python -m conformance.reference", description=__doc__)
    out.add_argument("--host", default="127.0.0.1", help="address to bind (loopback by default)")
    out.add_argument("--port", type=int, default=8787, help="port; 0 takes a free one")
    out.add_argument("--fault", action="append", default=[], metavar="NAME[@OPERATION]")
    out.add_argument("--list-faults", action="store_true", help="print every fault and end")
    out.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    out.add_argument("--speed", type=float, default=1.0, help="stretches timed work; 0 is immediate")
    out.add_argument("--seed", type=int, default=None, help="fix keys and seeded records")
    out.add_argument("--contract", type=Path, default=None, help="a compiled contract (JSON)")
    out.add_argument("--announce", action="store_true", help="print one JSON line when ready")
    out.add_argument("--die-with-parent", action="store_true", help="end when standard input ends")
    return out


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.list_faults:
        behaviours.load()
        for name, description in sorted(FAULTS.items()):
            print(f"{name:36} {description}")
        return 0
    options = Options(
        host=given.host,
        port=given.port,
        faults=tuple(given.fault),
        latency=given.latency,
        speed=given.speed,
        seed=given.seed,
        contract=given.contract,
    )

    def ready(announcement: Record) -> None:
        if given.announce:
            announce(announcement)
        else:
            print(f"reference gateway at {announcement['base_urls']['data']}", file=sys.stderr, flush=True)

    try:
        serve(options, die_with_parent=given.die_with_parent, ready=ready)
    except (UnknownFaultError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
