"""A small corpus of the whole contract, drawn once for all tests of the wing."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.contract import Contract
from conformance.contract.resources import Graph
from conformance.contract.schemas import Validators, validators
from conformance.generation.corpus import Corpus
from conformance.generation.effort import Effort

LIGHT = Effort("light", valid=3, invalid=5, drawn=1, examples=4, shrink_steps=8)


@pytest.fixture(scope="session")
def request_rules(portkey: Contract) -> Validators:
    return validators(portkey)


@pytest.fixture(scope="session")
def corpus(portkey: Contract, portkey_graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    cache: Path = tmp_path_factory.mktemp("corpus")
    return Corpus(portkey, portkey_graph, seed=1, effort=LIGHT, cache_dir=cache)
