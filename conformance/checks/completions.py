"""Text completions answered whole; their streams are judged beside those of chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
    sequence_of,
    stops,
    sums_up,
    wanted,
)

COMPLETION = "createCompletion"
DEFAULT_CAP = 16  # tokens a choice may have when the request does not say


def prompts(value: Any) -> list[Any]:
    """The prompts of a request, each a text or a list of token ids; none at all is one, the empty text."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return list(value)
    return [value]


@answers("completions.choices", COMPLETION)
def one_for_each_prompt(question: Record, answer: Record) -> Findings:
    expected = wanted(question) * len(prompts(question.get("prompt")))
    return indexes(records(answer.get("choices")), expected, "choices")


@answers("completions.usage_sum", COMPLETION)
def usage_adds_up(question: Record, answer: Record) -> Findings:
    return sums_up(answer)


def _prompt_of(question: Record, choice: Record) -> str | None:
    given, place = prompts(question.get("prompt")), integer(choice.get("index")) or 0
    place //= max(1, wanted(question))
    prompt = given[place] if 0 <= place < len(given) else None
    return prompt if isinstance(prompt, str) else None


@answers("completions.echo", COMPLETION)
def prompt_comes_first(question: Record, answer: Record) -> Findings:
    return _unechoed(question, answer) if question.get("echo") is True else None


def _unechoed(question: Record, answer: Record) -> Iterator[Problem]:
    for choice in records(answer.get("choices")):
        prompt, text = _prompt_of(question, choice), choice.get("text")
        if prompt is not None and not (isinstance(text, str) and text.startswith(prompt)):
            yield "echo", f"echo is true, and the text begins {str(text)[:40]!r}"


@answers("completions.stop", COMPLETION)
def stop_is_left_out(question: Record, answer: Record) -> Findings:
    marks = stops(question.get("stop"))
    return _stopped_late(marks, question, answer) if marks else None


def _stopped_late(marks: list[str], question: Record, answer: Record) -> Iterator[Problem]:
    for choice in records(answer.get("choices")):
        text = str(choice.get("text"))
        if question.get("echo") is True:  # the prompt itself may hold it
            text = text.removeprefix(_prompt_of(question, choice) or "")
        for mark in marks:
            if mark in text:
                yield "stop", f"the text holds the stop sequence {mark!r}"


_LISTS = ("tokens", "token_logprobs", "text_offset", "top_logprobs")


@answers("completions.logprobs", COMPLETION)
def probabilities_belong_together(question: Record, answer: Record) -> Iterator[Problem]:
    most = integer(question.get("logprobs"))
    for choice in records(answer.get("choices")):
        given = mapping(choice.get("logprobs"))
        lists = {name: sequence_of(given.get(name)) for name in _LISTS if given.get(name) is not None}
        if most is None:
            if lists.get("tokens"):
                yield "unasked", "logprobs are given and were not asked for"
            continue
        if choice.get("text") and not lists.get("tokens"):
            yield "missing", "logprobs were asked for, and there are none"
        if len({len(one) for one in lists.values()}) > 1:
            sizes = ", ".join(f"{len(one)} {name}" for name, one in lists.items())
            yield "lengths", f"the lists of logprobs differ in length: {sizes}"
        if any(len(mapping(one)) > most + 1 for one in lists.get("top_logprobs", ())):
            yield "too-many", f"a token has more than {most} + 1 top_logprobs"


@answers("completions.token_cap", COMPLETION)
def cap_is_kept(question: Record, answer: Record) -> Findings:
    usage = plain_usage(answer)
    if usage is None or question.get("echo") is True:
        return None
    cap = integer(question.get("max_tokens"))
    cap = DEFAULT_CAP if cap is None else cap
    number = max(1, wanted(question), integer(question.get("best_of")) or 1)
    most = cap * number * len(prompts(question.get("prompt")))
    if usage["completion_tokens"] <= most:
        return ()
    return [("over", f"{usage['completion_tokens']} completion tokens, at most {most} were allowed")]


@must_refuse("completions.best_of", COMPLETION)
def best_of_fewer(question: Record) -> str:
    best = integer(question.get("best_of"))
    if best is not None and best < wanted(question):
        return f"best_of {best} below n {wanted(question)}"
    if best is not None and best > 1 and question.get("stream") is True:
        return "a stream of the best of several"
    return ""
