"""Text completions: echo, log probabilities, several prompts, streams."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .chat import FINGERPRINT, usage_of
from .core import Answer, Call, EventStream, Record, Refusal, handles, new_id
from .faults import declare
from .streams import each
from .text import compose, count, cut, logprob, serving, stop_list, tokens
from .usage import finish


def prompts_of(value: Any) -> list[str]:
    """Every prompt of a request as text; token ids become words."""
    if value is None or isinstance(value, str):
        return [value or ""]
    if value and all(isinstance(one, int) for one in value):
        return [" ".join(f"token{one}" for one in value[:256])]
    if value and isinstance(value[0], list):
        return [prompts_of(one)[0] for one in value]
    return [str(one) for one in value] or [""]


def logprobs_of(text: str, top: int) -> Record:
    """The ``logprobs`` object of a choice; offsets count characters."""
    pieces = tokens(text)
    offsets: list[int] = []
    at = 0
    for piece in pieces:
        offsets.append(at)
        at += len(piece)
    own = [logprob(piece, place) for place, piece in enumerate(pieces)]
    ranked = [
        {piece if rank == 0 else f"{piece}{rank}": own[place] - rank for rank in range(top)}
        for place, piece in enumerate(pieces)
    ]
    return {"tokens": pieces, "token_logprobs": own, "top_logprobs": ranked, "text_offset": offsets}


def completion(call: Call, body: Record) -> Record:
    """The whole text completion object for a request body."""
    model = serving(call, body["model"])
    prompts = prompts_of(body["prompt"])
    number = body.get("n") or 1
    limit = body.get("max_tokens")
    choices: list[Record] = []
    spent = 0
    for index in range(len(prompts) * number):
        prompt = prompts[index // number]
        text, reason = cut(
            compose(prompt, index, body.get("seed")),
            16 if limit is None else limit,
            stop_list(body.get("stop")),
        )
        spent += count(text)
        text = prompt + text if body.get("echo") else text
        top = body.get("logprobs")
        choices.append(
            {
                "text": text,
                "index": index,
                "logprobs": None if top is None else logprobs_of(text, top),
                "finish_reason": reason,
            }
        )
    return {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": call.gateway.now(),
        "model": model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
        "usage": usage_of(sum(count(one) for one in prompts), spent),
    }


def chunks(whole: Record, *, include_usage: bool) -> Iterator[tuple[None, Any]]:
    """The stream of a completion: one event a choice, then the end.

    The contract's chunk knows no unfinished choice (its finish reason is never null), so none is sent.
    """
    base = {name: whole[name] for name in ("id", "object", "created", "model", "system_fingerprint")}
    for choice in whole["choices"]:
        yield None, {**base, "choices": [choice]}
    if include_usage:
        yield None, {**base, "choices": [], "usage": whole["usage"]}
    yield None, "[DONE]"


def answer(call: Call, body: Record) -> Answer | EventStream:
    """Complete, record, and answer whole or streamed."""
    started = time.perf_counter()
    whole = completion(call, body)
    usage = whole["usage"]
    headers = finish(
        call,
        whole,
        model=whole["model"],
        prompt=usage["prompt_tokens"],
        completion=usage["completion_tokens"],
        started=started,
    )
    if body.get("stream"):
        wanted = bool((body.get("stream_options") or {}).get("include_usage"))
        return EventStream(each(chunks(whole, include_usage=wanted)), headers)
    return Answer(whole, headers=headers)


declare("completion-takes-low-best-of", "best_of is taken below n, and beside stream")


@handles("createCompletion")
def create_completion(call: Call) -> Answer | EventStream:
    best, number = call.body.get("best_of"), call.body.get("n") or 1
    useless = best is not None and (best < number or (best > 1 and bool(call.body.get("stream"))))
    if useless and not call.fault("completion-takes-low-best-of"):
        raise Refusal(400, "best_of must be at least n, and is not streamed.", param="best_of")
    return answer(call, call.body)
