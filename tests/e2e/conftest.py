"""A gateway of our own that executions are pointed at, and target files that describe it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from targets import Announcement, TargetFile, described, toml

from conformance.contract.loader import CACHE_VARIABLE
from conformance.exercise.embedded import EmbeddedGateway


@pytest.fixture(scope="session", autouse=True)
def _shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Corpora are drawn once for all executions, outside the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get(CACHE_VARIABLE):
            patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def announcement() -> Iterator[Announcement]:
    """A gateway started beforehand, as somebody's deployment is."""
    with EmbeddedGateway(["--speed", "0"]) as gateway:
        yield gateway.announcement


@pytest.fixture
def write_target(tmp_path: Path) -> TargetFile:
    """Writes a target file for an announced gateway, with keys changed or (None) left out; its path."""

    def write(announcement: Announcement, **keys: Any) -> str:
        path = tmp_path / f"target-{len(list(tmp_path.iterdir()))}.toml"
        path.write_text(toml(described(announcement, **keys)), "utf-8")
        return str(path)

    return write
