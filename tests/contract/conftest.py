"""Tests of the contract side never write into the user's own cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.contract.loader import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
