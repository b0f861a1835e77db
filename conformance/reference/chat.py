"""Chat completions: answers, tool calls, structured output, streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from .core import Answer, Call, EventStream, Record, Refusal, handles, new_id
from .faults import declare
from .streams import each
from .text import arguments, compose, count, cut, logprob, sample, serving, stop_list, tokens
from .usage import finish

FINGERPRINT = "fp_reference"


def content_text(content: Any) -> str:
    """The plain text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(one.get("text", "")) for one in parts if isinstance(one, dict) and one.get("text"))


def chosen_tool(body: Record, prompt: str, last_role: str) -> Record | None:
    """The function the model calls: the forced one, or the one the last message names."""
    tools = [one["function"] for one in body.get("tools") or ()] + list(body.get("functions") or ())
    choice = body.get("tool_choice", body.get("function_call"))
    if not tools or choice == "none":
        return None
    if isinstance(choice, dict):
        wanted = choice.get("function", choice).get("name")
        return next((one for one in tools if one["name"] == wanted), None)
    if choice == "required":
        return dict(tools[0])
    if last_role in ("tool", "function"):
        return None
    return next((one for one in tools if one["name"] in prompt), None)


def message_of(body: Record, index: int) -> tuple[Record, str]:
    """One choice → (message, finish reason)."""
    messages = body["messages"]
    prompt = content_text(messages[-1].get("content"))
    tool = chosen_tool(body, prompt, messages[-1]["role"])
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    if tool is not None:
        return _calling(body, tool, prompt, limit)
    wanted = (body.get("response_format") or {}).get("type", "text")
    if wanted == "json_object":
        text = json.dumps({"answer": compose(prompt, index, body.get("seed"))}, ensure_ascii=False)
    elif wanted == "json_schema":
        schema = body["response_format"]["json_schema"].get("schema") or {}
        text = json.dumps(sample(schema, compose(prompt, index)[:40]), ensure_ascii=False)
    else:
        text = compose(prompt, index, body.get("seed"))
    text, reason = cut(text, limit, stop_list(body.get("stop")))
    message: Record = {"role": "assistant", "content": text}
    if (body.get("thinking") or {}).get("type") == "enabled":
        thought = {"type": "thinking", "thinking": f"The last message has {count(prompt)} tokens."}
        message["content_blocks"] = [thought, {"type": "text", "text": text}]
    return message, reason


def _calling(body: Record, tool: Record, prompt: str, limit: int | None) -> tuple[Record, str]:
    name = tool["name"]
    if limit is not None and limit <= count(name):  # not even the name has room
        return {"role": "assistant", "content": ""}, "length"
    text = json.dumps(arguments(tool.get("parameters"), prompt[:40] or "value"), ensure_ascii=False)
    text, reason = cut(text, None if limit is None else limit - count(name), ())
    function = {"name": name, "arguments": text}
    if not body.get("tools"):
        message: Record = {"role": "assistant", "content": None, "function_call": function}
        return message, "function_call" if reason == "stop" else reason
    call = {"id": new_id("call_"), "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return message, "tool_calls" if reason == "stop" else reason


def token_logprobs(text: str, top: int) -> Record:
    """The ``logprobs`` object of a choice."""
    found: list[Record] = []
    for place, token in enumerate(tokens(text)):
        raw = list(token.encode("utf-8"))
        own = logprob(token, place)
        alternatives = [
            {"token": token if rank == 0 else f"{token}{rank}", "logprob": own - rank, "bytes": raw}
            for rank in range(top)
        ]
        found.append({"token": token, "logprob": own, "bytes": raw, "top_logprobs": alternatives})
    return {"content": found}


def prompt_tokens(body: Record) -> int:
    return sum(count(content_text(one.get("content"))) + 3 for one in body["messages"])


def completion_tokens(message: Record) -> int:
    called = [one["function"] for one in message.get("tool_calls", ())]
    called += [message["function_call"]] if "function_call" in message else []
    return count(message["content"] or "") + sum(count(one["name"] + one["arguments"]) for one in called)


def usage_of(prompt: int, completion: int) -> Record:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion(call: Call, body: Record) -> Record:
    """The whole chat completion object for a request body."""
    model = serving(call, body["model"])
    choices: list[Record] = []
    spent = 0
    for index in range(body.get("n") or 1):
        message, reason = message_of(body, index)
        spent += completion_tokens(message)
        probabilities = None
        if body.get("logprobs") and message["content"] is not None:
            probabilities = token_logprobs(message["content"], body.get("top_logprobs") or 0)
        choices.append(
            {"index": index, "message": message, "logprobs": probabilities, "finish_reason": reason}
        )
    return {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": call.gateway.now(),
        "model": model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
        "usage": usage_of(prompt_tokens(body), spent),
    }


def chunks(whole: Record, *, include_usage: bool) -> Iterator[tuple[None, Any]]:
    """The stream of a completion: role, content piece by piece, finish reason, usage if wanted, the end."""

    def chunk(choices: list[Record], usage: Any = None) -> tuple[None, Any]:
        base = {name: whole[name] for name in ("id", "created", "model", "system_fingerprint")}
        extra = {"usage": usage} if include_usage else {}
        return None, {**base, "object": "chat.completion.chunk", "choices": choices, **extra}

    for choice in whole["choices"]:
        message, index = choice["message"], choice["index"]
        for delta, probabilities in _deltas(message, choice["logprobs"]):
            part = {"index": index, "delta": delta, "logprobs": probabilities, "finish_reason": None}
            yield chunk([part])
        end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
        yield chunk([end])
    if include_usage:
        yield chunk([], whole["usage"])
    yield None, "[DONE]"


def _deltas(message: Record, probabilities: Record | None) -> Iterator[tuple[Record, Record | None]]:
    text = message["content"]
    yield {"role": "assistant", "content": "" if text is not None else None}, None
    for place, token in enumerate(tokens(text or "")):
        one = {"content": probabilities["content"][place : place + 1]} if probabilities else None
        yield {"content": token}, one
    for index, called in enumerate(message.get("tool_calls", ())):
        function = called["function"]
        head = {"name": function["name"], "arguments": ""}
        yield (
            {"tool_calls": [{"index": index, "id": called["id"], "type": "function", "function": head}]},
            None,
        )
        for piece in tokens(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None
    if "function_call" in message:
        yield {"function_call": {"name": message["function_call"]["name"], "arguments": ""}}, None
        for piece in tokens(message["function_call"]["arguments"]):
            yield {"function_call": {"arguments": piece}}, None


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


declare("chat-takes-lone-top-logprobs", "top_logprobs is taken without logprobs")


@handles("createChatCompletion")
def create_chat_completion(call: Call) -> Answer | EventStream:
    alone = call.body.get("top_logprobs") is not None and not call.body.get("logprobs")
    if alone and not call.fault("chat-takes-lone-top-logprobs"):
        raise Refusal(400, "top_logprobs needs logprobs to be true.", param="top_logprobs")
    return answer(call, call.body)
