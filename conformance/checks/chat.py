"""Chat completions answered whole. Never the words of a model: only what a parameter makes mechanical."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import jsonschema_rs

from conformance.checks.answers import (
    Findings,
    Problem,
    Record,
    answers,
    indexes,
    integer,
    mapping,
    must_refuse,
    plain_usage,
    records,
    same_model,
    stops,
    sums_up,
    told,
    violations,
    wanted,
)
from conformance.checks.registry import Context, Ruling, sequence
from conformance.model import Exchange

CHAT = "createChatCompletion"
EARLIEST, LATEST = 1_500_000_000, 4_102_444_800  # a Unix time in seconds lies between; one in ms does not
CLOCKS_APART_S = 86_400
CUT = frozenset({"length", "content_filter"})


def choices(answer: Record) -> list[tuple[Record, Record]]:
    """(choice, its message) of an answer."""
    return [(one, mapping(one.get("message"))) for one in records(answer.get("choices"))]


def calls(message: Record) -> list[Record]:
    return records(message.get("tool_calls"))


def _unfinished(choice: Record, message: Record) -> bool:
    """Whether the model was cut short, or declined: then a form that was asked for may be missing."""
    return choice.get("finish_reason") in CUT or bool(message.get("refusal"))


@answers("chat.choices", CHAT)
def as_many_as_asked(question: Record, answer: Record) -> Findings:
    return indexes([one for one, _ in choices(answer)], wanted(question), "choices")


@answers("chat.usage_sum", CHAT)
def usage_adds_up(question: Record, answer: Record) -> Findings:
    return sums_up(answer)


@answers("chat.finish_calls", CHAT)
def finished_by_calls(question: Record, answer: Record) -> Iterator[Problem]:
    for choice, message in choices(answer):
        if choice.get("finish_reason") == "tool_calls" and not calls(message):
            yield "no-calls", "finish_reason is tool_calls and the message has none"


@answers("chat.content_null", CHAT)
def null_for_a_reason(question: Record, answer: Record) -> Iterator[Problem]:
    for choice, message in choices(answer):
        instead = any(message.get(one) for one in ("tool_calls", "function_call", "refusal", "audio"))
        withheld = choice.get("finish_reason") == "content_filter"
        if message.get("content") is None and not instead and not withheld:
            yield "null", "content is null and the message holds neither calls nor a refusal"


@answers("chat.token_cap", CHAT)
def cap_is_kept(question: Record, answer: Record) -> Findings:
    limit = integer(question.get("max_completion_tokens"))
    limit = integer(question.get("max_tokens")) if limit is None else limit
    usage = plain_usage(answer)
    if limit is None or usage is None:
        return None
    spent, number = usage["completion_tokens"], max(1, wanted(question))
    if spent > limit * number:
        return [("over", f"{spent} completion tokens in {number} choices of at most {limit}")]
    cut_short = any(choice.get("finish_reason") == "length" for choice, _ in choices(answer))
    if number == 1 and cut_short and spent < limit - max(4, limit // 10):
        return [("early", f"finish_reason is length after {spent} of {limit} tokens")]
    return ()


@answers("chat.logprobs", CHAT)
def probabilities_as_asked(question: Record, answer: Record) -> Iterator[Problem]:
    most = integer(question.get("top_logprobs")) or 0
    for choice, message in choices(answer):
        content = mapping(choice.get("logprobs")).get("content")
        if question.get("logprobs") is not True:
            if content:
                yield "unasked", "logprobs are given and were not asked for"
        elif message.get("content"):
            if not records(content):
                yield "missing", "logprobs were asked for, and choice.logprobs.content is empty"
            elif any(len(records(one.get("top_logprobs"))) > most for one in records(content)):
                yield "too-many", f"a token has more than the {most} top_logprobs asked for"


def offered(question: Record) -> set[Any]:
    """The names of the functions that a question offers."""
    tools = [mapping(one.get("function")) for one in records(question.get("tools"))]
    return {one.get("name") for one in (*tools, *records(question.get("functions")))}


@answers("chat.tool_choice", CHAT)
def calls_as_chosen(question: Record, answer: Record) -> Iterator[Problem]:
    names, choice = offered(question), question.get("tool_choice")
    forced = mapping(mapping(choice).get("function")).get("name")
    for one, message in choices(answer):
        made = [call for call in calls(message) if call.get("type", "function") == "function"]
        for call in made:
            function = mapping(call.get("function"))
            if function.get("name") not in names:
                yield "stranger", f"a call of {str(function.get('name'))[:64]!r}, which was not offered"
            elif forced is not None and function.get("name") != forced:
                yield "other", f"a call of {function.get('name')!r}, though {forced!r} was chosen"
            if not isinstance(function.get("arguments"), str):
                yield "arguments", "the arguments of a call are not a string"
        if choice == "none" and made:
            yield "unwanted", "tool_choice is none, and a tool is called"
        if (choice == "required" or forced is not None) and not made and not _unfinished(one, message):
            yield "missing", f"tool_choice is {forced or choice!r}, and no tool is called"


@answers("chat.structured", CHAT)
def content_has_its_form(question: Record, answer: Record) -> Findings:
    shape = mapping(question.get("response_format"))
    if shape.get("type") not in ("json_object", "json_schema") or stops(question.get("stop")):
        return None  # a stop sequence may end a JSON text anywhere
    return _unformed(shape, answer)


def _unformed(shape: Record, answer: Record) -> Iterator[Problem]:
    described = mapping(shape.get("json_schema"))
    schema = described.get("schema") if described.get("strict") is True else None
    for choice, message in choices(answer):
        text = message.get("content")
        if _unfinished(choice, message) or not isinstance(text, str):
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            yield "not-json", f"response_format is {shape['type']}, and the content is not JSON"
            continue
        if shape["type"] == "json_object" and not isinstance(value, dict):
            yield "no-object", f"response_format is json_object, and the content is {type(value).__name__}"
        if schema is not None and not _fits(value, schema):
            yield "schema", "the content does not fit the JSON schema of the request"


def _fits(value: Any, schema: Any) -> bool:
    if "$ref" in json.dumps(schema):  # might lead out of the house
        return True
    with contextlib.suppress(ValueError):
        return jsonschema_rs.is_valid(schema, value)
    return True  # the schema itself is not one


@answers("chat.stop", CHAT)
def stop_is_left_out(question: Record, answer: Record) -> Findings:
    marks = stops(question.get("stop"))
    if not marks:
        return None
    texts = [message.get("content") for _, message in choices(answer)]
    return [
        ("stop", f"the content holds the stop sequence {mark!r}")
        for mark in marks
        if any(isinstance(text, str) and mark in text for text in texts)
    ]


@sequence("chat.identity")
def own_name_and_time(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    seen: set[str] = set()
    for exchange in exchanges:
        found = told(exchange, CHAT)
        if found is None:
            continue
        yield exchange, violations(list(_identity(exchange, found[1], seen)))


def _identity(exchange: Exchange, value: Record, seen: set[str]) -> Iterator[Problem]:
    if value.get("object") != "chat.completion":
        yield "object", f"object is {str(value.get('object'))[:64]!r}, expected 'chat.completion'"
    header = exchange.response.header if exchange.response is not None else lambda name: None
    stored = "hit" in (header("x-portkey-cache-status") or "").lower()
    created = integer(value.get("created"))
    if created is None or not EARLIEST <= created <= LATEST:
        yield "created", f"created is {value.get('created')!r:.40}, expected Unix time in seconds"
    elif not stored and (apart := _apart(created, header("date"))) > CLOCKS_APART_S:
        yield "created-off", f"created is {apart:.0f} s away from the response's own Date"
    identifier = value.get("id")
    if not isinstance(identifier, str) or not identifier:
        yield "id", "the answer has no id"
    elif identifier in seen and not stored:
        yield "id-again", f"the id {identifier[:64]!r} was given to another answer before"
    else:
        seen.add(identifier)


def _apart(created: int, date: str | None) -> float:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return abs(parsedate_to_datetime(date or "").timestamp() - created)
    return 0.0


@answers("chat.model_named", CHAT)
def names_its_model(question: Record, answer: Record) -> Findings:
    model, named = question.get("model"), answer.get("model")
    if not isinstance(model, str) or not isinstance(named, str):
        return None
    return () if same_model(model, named) else [("model", f"model is {named[:64]!r}, asked for {model!r}")]


@answers("chat.usage_details", CHAT)
def details_within_sums(question: Record, answer: Record) -> Findings:
    usage = plain_usage(answer)
    if usage is None:
        return None
    return _beyond(usage)


def _beyond(usage: Record) -> Iterator[Problem]:
    written = mapping(usage.get("completion_tokens_details"))
    names = ("reasoning_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens")
    total = sum(integer(written.get(one)) or 0 for one in names)
    if total > usage["completion_tokens"]:
        yield "completion", f"completion_tokens_details sum to {total}, of {usage['completion_tokens']}"
    cached = integer(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
    if cached > usage["prompt_tokens"]:
        yield "cached", f"{cached} cached tokens of {usage['prompt_tokens']} prompt tokens"


@must_refuse("chat.top_logprobs_alone", CHAT)
def top_alone(question: Record) -> str:
    alone = integer(question.get("top_logprobs")) is not None and question.get("logprobs") is not True
    return "top_logprobs without logprobs" if alone else ""
