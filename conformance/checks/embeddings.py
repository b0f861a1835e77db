"""Embeddings: as many vectors as inputs, of the asked size and form, equal for equal texts."""

from __future__ import annotations

import base64
import binascii
import math
import operator
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from conformance.checks.answers import (
    Findings,
    Problem,
    Record,
    answers,
    integer,
    mapping,
    must_refuse,
    records,
    told,
    violations,
)
from conformance.checks.registry import Context, Ruling, sequence
from conformance.model import Exchange

EMBED = "createEmbedding"
MOST_INPUTS = 2048
ALIKE = 0.99  # cosine of two vectors of one text; models are not exact to the last digit
CLOSE = 1e-3  # between one vector as numbers and as base64
UNIT = 1e-2
NORMALISED = "text-embedding-"  # models whose vectors are documented to have length 1

Vector = tuple[float, ...]


def inputs(value: Any) -> list[Any]:
    """The inputs of a request: a text or one list of token ids is one input."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return list(value)
    return [value]


def vector(value: Any) -> Vector | None:
    """The numbers of an embedding, plain or as base64 of little-endian floats; None when it is neither."""
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None
        return struct.unpack(f"<{len(raw) // 4}f", raw) if raw and len(raw) % 4 == 0 else None
    if not isinstance(value, list) or not value:
        return None
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in value):
        return None
    try:
        return tuple(float(one) for one in value)
    except OverflowError:
        return None


def vectors(answer: Record) -> list[Vector]:
    found = (vector(one.get("embedding")) for one in records(answer.get("data")))
    return [one for one in found if one is not None]


@answers("embeddings.count", EMBED)
def one_for_each_input(question: Record, answer: Record) -> Findings:
    expected = len(inputs(question.get("input")))
    found = [one.get("index") for one in records(answer.get("data"))]
    if len(found) != expected:
        return [("count", f"{len(found)} embeddings for {expected} inputs")]
    if found != list(range(expected)):
        return [("index", f"indexes {found[:8]}, expected 0 to {expected - 1} in order")]
    return ()


def _same_request(question: Record) -> str:
    return repr((question.get("model"), question.get("dimensions")))


@sequence("embeddings.size")
def of_one_size(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """As long as asked for; else all of one model as long as the first seen."""
    sizes: dict[str, int] = {}
    for exchange in exchanges:
        found = told(exchange, EMBED)
        if found is None:
            continue
        lengths = sorted({len(one) for one in vectors(found[1])})
        expected = integer(found[0].get("dimensions"))
        if expected is None and lengths:
            expected = sizes.setdefault(str(found[0].get("model")), lengths[0])
        wrong = [one for one in lengths if one != expected]
        yield (
            exchange,
            violations([("size", f"{wrong[0]} numbers in a vector, expected {expected}")] if wrong else ()),
        )


@sequence("embeddings.encoding")
def in_the_form_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Numbers or base64, as asked; and the same vector in both forms."""
    plain: dict[str, Vector] = {}
    for exchange in exchanges:
        found = told(exchange, EMBED)
        if found is not None and found[0].get("encoding_format") != "base64":
            plain.update(_by_text(*found))
    for exchange in exchanges:
        found = told(exchange, EMBED)
        if found is not None:
            yield exchange, violations(list(_form(*found, plain)))


def _by_text(question: Record, answer: Record) -> Iterator[tuple[str, Vector]]:
    given = inputs(question.get("input"))
    for place, one in enumerate(records(answer.get("data"))[: len(given)]):
        its = vector(one.get("embedding"))
        if its is not None:
            yield f"{_same_request(question)} {given[place]!r}", its


def _form(question: Record, answer: Record, plain: dict[str, Vector]) -> Iterator[Problem]:
    packed = question.get("encoding_format") == "base64"
    for one in records(answer.get("data")):
        value = one.get("embedding")
        if isinstance(value, str) is not packed:
            yield "form", f"encoding_format is {'base64' if packed else 'float'}, got {type(value).__name__}"
        elif packed and vector(value) is None:
            yield "base64", "the embedding is not base64 of 32-bit floats"
    if packed:
        for text, its in _by_text(question, answer):
            other = plain.get(text)
            if other is not None and _differs(its, other):
                yield "differs", "the vector as base64 is not the one given as numbers"


def _differs(first: Vector, second: Vector) -> bool:
    if len(first) != len(second):
        return True
    return cosine(first, second) < ALIKE if not _close(first, second) else False


def _close(first: Vector, second: Vector) -> bool:
    return all(abs(one - two) <= CLOSE for one, two in zip(first, second, strict=True))


def cosine(first: Vector, second: Vector) -> float:
    """Of two vectors of one length; 1 when either has no direction."""
    try:
        lengths = math.hypot(*first) * math.hypot(*second)
        found = math.fsum(map(operator.mul, first, second)) / lengths if lengths else 1.0
    except (OverflowError, ValueError):
        return 1.0
    return found if math.isfinite(found) else 1.0


@answers("embeddings.usage", EMBED)
def tokens_are_counted(question: Record, answer: Record) -> Findings:
    usage = mapping(answer.get("usage"))
    prompt, total = integer(usage.get("prompt_tokens")), integer(usage.get("total_tokens"))
    if prompt is None or total is None or not total >= prompt > 0:
        return [("usage", f"total_tokens {total} and prompt_tokens {prompt}, expected total >= prompt > 0")]
    return ()


@sequence("embeddings.repeatable")
def equal_for_equal(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """One text has one direction: twice in a request, and wherever it stands in another."""
    first: dict[str, Vector] = {}
    for exchange in exchanges:
        found = told(exchange, EMBED)
        if found is None:
            continue
        again, apart = 0, 0
        for text, its in _by_text(*found):
            before = first.setdefault(text, its)
            if before is not its and len(before) == len(its):
                again += 1
                apart += cosine(before, its) < ALIKE
        if again:
            told_of = "the vector of a text differs from the one it had before, or at another place"
            yield exchange, violations([("apart", told_of)] if apart else ())


@answers("embeddings.length_one", EMBED)
def finite_and_normalised(question: Record, answer: Record) -> Iterator[Problem]:
    normalised = NORMALISED in str(question.get("model")).lower()
    for one in vectors(answer):
        length = math.hypot(*one)
        if not math.isfinite(length):
            yield "infinite", "a vector holds a number that is not finite"
        elif length == 0:
            yield "zero", "every number of a vector is 0"
        elif normalised and abs(length - 1) > UNIT:
            yield "length", f"a vector has length {length:.4f}, expected 1"


@must_refuse("embeddings.input_refused", EMBED)
def unusable_input(question: Record) -> str:
    given = inputs(question.get("input"))
    if len(given) > MOST_INPUTS:
        return f"{len(given)} inputs, of at most {MOST_INPUTS}"
    return "an empty text" if any(one == "" for one in given) else ""
