"""A conformance suite for AI gateways: the contract exercised, judged and reported."""

__version__ = "0.1.0"
