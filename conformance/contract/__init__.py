"""The contract wing: published document + errata = compiled contract, its operations and validators."""

from __future__ import annotations

from conformance.contract.loader import Contract, contract_names, count_errata, load_contract
from conformance.contract.schemas import Problem, ResponseRule, Validator, Validators, validators

__all__ = [
    "Contract",
    "Problem",
    "ResponseRule",
    "Validator",
    "Validators",
    "contract_names",
    "count_errata",
    "load_contract",
    "validators",
]
