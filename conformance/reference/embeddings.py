"""Embeddings: unit vectors that depend on the text alone."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import time
from functools import lru_cache
from typing import Any

from .completions import prompts_of
from .core import Answer, Call, Record, Refusal, handles
from .faults import declare
from .text import count, serving
from .usage import finish

SIZE = 256
LARGEST = 8192


@lru_cache(maxsize=512)
def vector(text: str, size: int) -> tuple[float, ...]:
    """A unit vector, equal for equal texts; words two texts share pull their vectors together."""
    sums = [0.0] * size
    for word in text.split()[:64] or [""]:
        raw = hashlib.shake_128(word.encode("utf-8", "replace")).digest(size)
        sums = [total + byte - 127.5 for total, byte in zip(sums, raw, strict=True)]
    length = math.sqrt(sum(one * one for one in sums))
    return tuple(one / length for one in sums)


declare("embedding-takes-empty", "an empty text is embedded")


@handles("createEmbedding")
def create_embedding(call: Call) -> Answer:
    started = time.perf_counter()
    body: Record = call.body
    size = body.get("dimensions", SIZE)
    if size > LARGEST:
        raise Refusal(400, f"At most {LARGEST} dimensions.", param="dimensions")
    model = serving(call, body["model"])
    texts = prompts_of(body["input"])
    if "" in texts and not call.fault("embedding-takes-empty"):
        raise Refusal(400, "An empty text has no embedding.", param="input")
    data: list[Record] = []
    for index, text in enumerate(texts):
        values = vector(text, size)
        embedding: Any = list(values)
        if body.get("encoding_format") == "base64":
            embedding = base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    read = sum(count(text) for text in texts)
    answer = {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": read, "total_tokens": read},
    }
    headers = finish(call, {}, model=model, prompt=read, completion=0, started=started)
    return Answer(answer, headers=headers)
