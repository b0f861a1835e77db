"""The contract wing: published document + errata = compiled contract, its operations and validators."""

from __future__ import annotations

from conformance.contract.loader import Contract, contract_names, load_contract

__all__ = ["Contract", "contract_names", "load_contract"]
