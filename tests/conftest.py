"""What all tests share: the contract with its graph and requirements, loaded once."""

from __future__ import annotations

import pytest

from conformance.contract import Contract, load_contract
from conformance.contract.requirements import Requirements, load_requirements
from conformance.contract.resources import Graph, load_graph


@pytest.fixture(scope="session")
def portkey() -> Contract:
    return load_contract("portkey")


@pytest.fixture(scope="session")
def portkey_graph(portkey: Contract) -> Graph:
    return load_graph(portkey)


@pytest.fixture(scope="session")
def portkey_requirements(portkey: Contract, portkey_graph: Graph) -> Requirements:
    return load_requirements(portkey, portkey_graph)
