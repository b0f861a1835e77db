"""How items are shared among xdist workers: fixed beforehand, so that each can work ahead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from xdist.scheduler import LoadScheduling


def share(keys: Sequence[str], workers: int) -> list[list[int]]:
    """Indices of the items of each worker.

    Items with the same key (an operation) stay together, so its corpus is drawn once; the runs of
    equal keys are dealt out in turn. Order within a worker is the order of the items.
    """
    shares: list[list[int]] = [[] for _ in range(workers)]
    owner: dict[str, int] = {}
    for key, run in groupby(range(len(keys)), key=lambda index: keys[index]):
        worker = owner.setdefault(key, len(owner) % workers)
        shares[worker].extend(run)
    return shares


def key_of(nodeid: str) -> str:
    """The operation in ``…::test_valid[createRun]``; items without one stand for themselves."""
    return nodeid.partition("[")[2].rstrip("]") or nodeid


class FixedShares(LoadScheduling):  # type: ignore[misc]
    """xdist's load scheduling, but everything is dealt out at once and in a known way."""

    collection: list[str] | None

    def schedule(self) -> None:
        if self.collection is not None:
            super().schedule()
            return
        if not self._check_nodes_have_same_collection():
            return
        collection: list[str] = next(iter(self.node2collection.values()))
        self.collection = collection
        shares = share([key_of(nodeid) for nodeid in collection], len(self.nodes))
        for node, indices in zip(sorted(self.nodes, key=_number), shares, strict=True):
            if indices:
                self.node2pending[node].extend(indices)
                node.send_runtest_some(indices)
        for node in self.nodes:
            node.shutdown()


def _number(node: Any) -> int:
    return int(str(node.gateway.id).removeprefix("gw"))
