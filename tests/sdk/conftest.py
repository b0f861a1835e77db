"""A client of the openai SDK that speaks to a reference gateway in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import openai
import pytest

from conformance.reference.server import Options, Running


@dataclass(frozen=True)
class Client:
    """The SDK as a customer would set it up, and the chat model of the gateway."""

    sdk: openai.OpenAI
    model: str


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Base URL and key are all that is set: what else the SDK sends is its own."""
    with Running(Options(port=0, speed=0.5)) as gateway:
        told = gateway.announcement
        credential = told["credentials"]["owner"]
        with openai.OpenAI(
            base_url=told["base_urls"]["data"],
            api_key=credential["x-portkey-api-key"],
            max_retries=0,
            timeout=20,
        ) as sdk:
            yield Client(sdk, told["models"]["chat"])
