"""Draws requests with Hypothesis through Schemathesis. Imported only when something must be drawn.

An operation becomes a tiny document of its own whose one body is the envelope
``{"query": {...}, "body": ...}`` of narrowed schemas: strategies stay small, values stay typed, and
neither security headers nor servers of the contract are anywhere near.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, HypothesisWarning
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.errors import SchemathesisError

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


def draw(envelope: Mapping[str, Any], *, count: int, at: int, negative: bool) -> list[dict[str, Any]]:
    """Up to ``count`` drawn envelopes, in the order drawn, the same for the same seed ``at``.

    An envelope Schemathesis cannot draw from gives what was drawn so far, possibly nothing.
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
    config = SchemathesisConfig(
        projects=ProjectsConfig(
            default=ProjectConfig(generation=GenerationConfig(allow_x00=False, allow_extra_parameters=False))
        )
    )
    drawn: list[dict[str, Any]] = []

    def collect(case: Any) -> None:
        if isinstance(case.body, dict) and len(drawn) < count:
            drawn.append(case.body)

    with warnings.catch_warnings():
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
        except (HypothesisException, SchemathesisError):
            return drawn
    return drawn
