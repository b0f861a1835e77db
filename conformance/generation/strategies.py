"""Draws requests with Hypothesis through Schemathesis. Imported only when something must be drawn.

An operation becomes a tiny document of its own whose one body is the envelope
``{"query": {...}, "body": ...}`` of narrowed schemas: strategies stay small, values stay typed, and
neither security headers nor servers of the contract are anywhere near.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, configuration, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, HypothesisWarning
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.errors import SchemathesisError

from conformance.contract.loader import cache_dir
from conformance.generation.narrowing import TEXT_FORMAT, Rules

BACKEND = "conformance"
LETTERS = "abcdefghijklmnopqrstuvwxyzäéßñøλжй東語 "


class SeedOnlyProvider(HypothesisProvider):
    """Hypothesis, but for the constants it reads out of whatever local modules happen to be imported.

    They make the same seed draw other values in a worker than on the command line.
    """

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


AVAILABLE_PROVIDERS[BACKEND] = f"{__name__}.{SeedOnlyProvider.__name__}"


def seed_of(*parts: str) -> int:
    """A stable 64-bit seed from words; never Python's salted ``hash``."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")


def register_text(rules: Rules) -> None:
    """Teach Schemathesis the format that narrowed strings carry: words, now and then free Unicode."""
    words = st.lists(st.sampled_from(rules.words), min_size=1, max_size=2).map(" ".join)
    free = st.text(st.sampled_from(LETTERS), min_size=1, max_size=12).map(str.strip).filter(bool)
    longest = rules.text_length
    schemathesis.openapi.format(
        TEXT_FORMAT, (words | free).map(lambda text: text[:longest].strip() or "text")
    )


@contextmanager
def _own_storage() -> Iterator[None]:
    """Keep the tables Hypothesis stores out of the user's working directory."""
    if os.environ.get("HYPOTHESIS_STORAGE_DIRECTORY"):
        yield
        return
    before = vars(configuration).get("__hypothesis_home_directory")
    configuration.set_hypothesis_home_dir(cache_dir() / "hypothesis")
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


def draw(
    envelope: Mapping[str, Any], *, count: int, at: int, negative: bool
) -> tuple[list[dict[str, Any]], str]:
    """Up to ``count`` drawn envelopes, in the order drawn, the same for the same seed ``at``.

    The text says why drawing ended early; empty when it did not.
    """
    mode = GenerationMode.NEGATIVE if negative else GenerationMode.POSITIVE
    document = {
        "openapi": "3.0.3",
        "info": {"title": "narrowed", "version": "1"},
        "paths": {
            "/envelope": {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": dict(envelope)}},
                    },
                    "responses": {"200": {"description": "-"}},
                }
            }
        },
    }
    # Without a codec surrogates are left out all the same, but no table of all of UTF-8 is made (250 MB).
    generation = GenerationConfig(allow_x00=False, allow_extra_parameters=False, codec=None)
    config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(generation=generation)))
    drawn: list[dict[str, Any]] = []

    def collect(case: Any) -> None:
        if isinstance(case.body, dict) and len(drawn) < count:
            drawn.append(case.body)

    with warnings.catch_warnings(), _own_storage():
        warnings.simplefilter("ignore", HypothesisWarning)
        try:
            operation = schemathesis.openapi.from_dict(document, config=config)["/envelope"]["POST"]
            run = given(case=operation.as_strategy(generation_mode=mode))(collect)
            run = settings(
                database=None,
                backend=BACKEND,
                deadline=None,
                max_examples=count,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )(run)
            seed(at)(run)()
        except (HypothesisException, SchemathesisError, ValueError, RecursionError) as error:
            return drawn, f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"
    return drawn, ""
