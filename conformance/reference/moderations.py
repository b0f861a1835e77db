"""Moderations: every category scored by the words of the text."""

from __future__ import annotations

import re
import time

from .core import Answer, Call, Record, handles, new_id
from .text import count, serving
from .usage import finish

CATEGORIES: dict[str, tuple[str, ...]] = {
    "hate": ("hate", "despise"),
    "hate/threatening": ("exterminate",),
    "harassment": ("stupid", "idiot"),
    "harassment/threatening": ("threaten", "hurt"),
    "self-harm": ("suicide", "selfharm"),
    "self-harm/intent": ("suicide",),
    "self-harm/instructions": ("overdose",),
    "sexual": ("sexual",),
    "sexual/minors": (),
    "violence": ("kill", "murder", "attack"),
    "violence/graphic": ("gore", "mutilate"),
}
FLAGGED_FROM = 0.5


def judge(text: str) -> Record:
    """One result: a category is flagged when a word of it occurs."""
    words = re.findall(r"[a-z]+", text.lower())
    scores: dict[str, float] = {}
    for category, marks in CATEGORIES.items():
        hits = sum(any(word.startswith(mark) for mark in marks) for word in words)
        scores[category] = round(1 - 0.4**hits, 6) if hits else round(len(words) % 97 / 1_000_000, 6)
    flags = {category: score >= FLAGGED_FROM for category, score in scores.items()}
    return {"flagged": any(flags.values()), "categories": flags, "category_scores": scores}


@handles("createModeration")
def create_moderation(call: Call) -> Answer:
    started = time.perf_counter()
    given = call.body["input"]
    texts = [given] if isinstance(given, str) else given
    model = serving(call, call.body.get("model") or "text-moderation-latest")
    answer = {"id": new_id("modr-"), "model": model, "results": [judge(text) for text in texts]}
    read = sum(count(text) for text in texts)
    return Answer(
        answer, headers=finish(call, answer, model=model, prompt=read, completion=0, started=started)
    )
