"""What a gateway gets wrong in the answers and streams of inference."""

from __future__ import annotations

import base64
from typing import Any

from ..core import Call, Record
from ..pictures import png
from . import Event, deviates_body, deviates_events

CHAT, COMPLETION, EMBED, MODERATE = (
    "createChatCompletion",
    "createCompletion",
    "createEmbedding",
    "createModeration",
)
IMAGES = ("createImage", "createImageEdit", "createImageVariation")
TRANSCRIBE, TRANSLATE = "createTranscription", "createTranslation"

# chat and text completions


@deviates_body("chat-ignores-n", "a chat completion has one choice, whatever n asks for", CHAT)
@deviates_body("completion-ignores-n", "a completion has one choice, whatever n asks for", COMPLETION)
def _one_choice(body: Any, call: Call) -> Any:
    return {**body, "choices": body["choices"][:1]}


@deviates_body("chat-usage-wrong-sum", "total_tokens of a chat is one too many", CHAT)
@deviates_body("completion-usage-wrong-sum", "total_tokens of a completion is one too many", COMPLETION)
def _wrong_sum(body: Any, call: Call) -> Any:
    body["usage"]["total_tokens"] += 1
    return body


@deviates_body("chat-overspends", "a chat spends a thousand tokens more than its cap", CHAT)
@deviates_body("completion-overspends", "a completion spends a thousand tokens more", COMPLETION)
def _overspends(body: Any, call: Call) -> Any:
    for name in ("completion_tokens", "total_tokens"):
        body["usage"][name] += 1000
    return body


@deviates_body("chat-finishes-by-no-call", "every chat finishes by tool_calls", CHAT)
def _by_no_call(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        choice["finish_reason"] = "tool_calls"
    return body


@deviates_body("chat-content-null", "the content of every message is null", CHAT)
def _null(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        choice["message"]["content"] = None
    return body


@deviates_body("chat-without-logprobs", "logprobs are never given", CHAT)
def _no_logprobs(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        choice["logprobs"] = None
    return body


@deviates_body("chat-ignores-tool-choice", "no tool is ever called", CHAT)
def _no_tool(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        if choice["message"].pop("tool_calls", None):
            choice["message"]["content"] = "No."
            choice["finish_reason"] = "stop"
    return body


@deviates_body("chat-json-with-prose", "JSON that was asked for comes with words around it", CHAT)
def _prose(body: Any, call: Call) -> Any:
    if (call.body.get("response_format") or {}).get("type", "text") != "text":
        for choice in body["choices"]:
            choice["message"]["content"] = f"Here you are: {choice['message']['content']}"
    return body


def _first_stop(call: Call) -> str:
    stop = call.body.get("stop") or ""
    return stop if isinstance(stop, str) else str(stop[0])


@deviates_body("chat-shows-stop", "the stop sequence stays in the content", CHAT)
def _chat_stop(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        choice["message"]["content"] = f"{choice['message']['content'] or ''}{_first_stop(call)}"
    return body


@deviates_body("completion-shows-stop", "the stop sequence stays in the text", COMPLETION)
def _completion_stop(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        choice["text"] += _first_stop(call)
    return body


@deviates_body("chat-id-constant", "every chat completion has the same id", CHAT)
def _constant(body: Any, call: Call) -> Any:
    return {**body, "id": "chatcmpl-0"}


@deviates_body("chat-other-model", "an answer names another model than served it", CHAT)
def _other_model(body: Any, call: Call) -> Any:
    return {**body, "model": "somebody-else"}


@deviates_body("chat-reasoning-beyond-completion", "more reasoning tokens than completion tokens", CHAT)
def _reasoning(body: Any, call: Call) -> Any:
    usage = body["usage"]
    usage["completion_tokens_details"]["reasoning_tokens"] = usage["completion_tokens"] + 1
    return body


@deviates_body("completion-ignores-echo", "echo is ignored", COMPLETION)
def _no_echo(body: Any, call: Call) -> Any:
    if call.body.get("echo"):
        for choice in body["choices"]:
            choice["text"] = choice["text"].removeprefix(str(call.body["prompt"])) or "Nothing."
    return body


@deviates_body("completion-logprobs-uneven", "text_offset is one short", COMPLETION)
def _uneven(body: Any, call: Call) -> Any:
    for choice in body["choices"]:
        if choice["logprobs"]:
            choice["logprobs"]["text_offset"].pop()
    return body


# streams


def _chunks(events: list[Event]) -> list[Record]:
    return [data for _, data in events if isinstance(data, dict)]


@deviates_events("chat-stream-done-twice", "[DONE] is sent twice", CHAT)
def _done_twice(events: list[Event], call: Call) -> list[Event]:
    return [*events, events[-1]]


@deviates_events("chat-stream-id-changes", "each chunk of a chat stream has an id of its own", CHAT)
@deviates_events("completion-stream-id-changes", "each chunk of a completion has its own id", COMPLETION)
def _id_changes(events: list[Event], call: Call) -> list[Event]:
    for place, chunk in enumerate(_chunks(events)):
        chunk["id"] += str(place)
    return events


@deviates_events("chat-stream-finishes-twice", "the chunk with the finish_reason is sent twice", CHAT)
def _finishes_twice(events: list[Event], call: Call) -> list[Event]:
    found: list[Event] = []
    for name, data in events:
        found.append((name, data))
        if isinstance(data, dict) and any(one["finish_reason"] for one in data["choices"]):
            found.append((name, data))
    return found


@deviates_events("chat-stream-without-role", "no delta carries a role", CHAT)
def _no_role(events: list[Event], call: Call) -> list[Event]:
    for chunk in _chunks(events):
        for choice in chunk["choices"]:
            choice["delta"].pop("role", None)
    return events


@deviates_events("chat-stream-usage-missing", "include_usage is ignored", CHAT)
def _no_usage(events: list[Event], call: Call) -> list[Event]:
    return [one for one in events if not isinstance(one[1], dict) or one[1]["choices"]]


@deviates_events("chat-stream-usage-unasked", "the last chunk has usage without include_usage", CHAT)
def _usage_unasked(events: list[Event], call: Call) -> list[Event]:
    if not (call.body.get("stream_options") or {}).get("include_usage"):
        _chunks(events)[-1]["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return events


@deviates_events("chat-stream-repeats-call-head", "each fragment of a call repeats id and name", CHAT)
def _repeats_head(events: list[Event], call: Call) -> list[Event]:
    head: Record | None = None
    for chunk in _chunks(events):
        for choice in chunk["choices"]:
            for fragment in choice["delta"].get("tool_calls", ()):
                head = head or {"id": fragment["id"], "name": fragment["function"]["name"]}
                fragment["id"] = head["id"]
                fragment["function"]["name"] = head["name"]
    return events


@deviates_events("chat-stream-index-off", "choices of a stream count from one", CHAT)
def _index_off(events: list[Event], call: Call) -> list[Event]:
    for chunk in _chunks(events):
        for choice in chunk["choices"]:
            choice["index"] += 1
    return events


@deviates_events("chat-stream-ignores-n", "a stream has one choice, whatever n asks for", CHAT)
def _stream_ignores_n(events: list[Event], call: Call) -> list[Event]:
    return [
        one
        for one in events
        if not isinstance(one[1], dict) or all(choice["index"] == 0 for choice in one[1]["choices"])
    ]


# embeddings


@deviates_body("embedding-index-zero", "every embedding has index 0", EMBED)
def _index_zero(body: Any, call: Call) -> Any:
    for one in body["data"]:
        one["index"] = 0
    return body


@deviates_body("embedding-ignores-dimensions", "vectors have one number more than asked for", EMBED)
def _one_more(body: Any, call: Call) -> Any:
    if "dimensions" in call.body:
        for one in body["data"]:
            one["embedding"] = [*one["embedding"], 0.0]
    return body


@deviates_body("embedding-ignores-encoding", "base64 is never given", EMBED)
def _never_base64(body: Any, call: Call) -> Any:
    for one in body["data"]:
        if isinstance(one["embedding"], str):
            one["embedding"] = [0.5, 0.5]
    return body


@deviates_body("embedding-usage-zero", "embedding costs no tokens", EMBED)
def _no_tokens(body: Any, call: Call) -> Any:
    return {**body, "usage": {"prompt_tokens": 0, "total_tokens": 0}}


@deviates_body("embedding-vectors-swapped", "the vectors of several texts come in reverse order", EMBED)
def _swapped(body: Any, call: Call) -> Any:
    backwards = [one["embedding"] for one in reversed(body["data"])]
    for one, embedding in zip(body["data"], backwards, strict=True):
        one["embedding"] = embedding
    return body


@deviates_body("embedding-all-zero", "every number of a vector is 0", EMBED)
def _zero(body: Any, call: Call) -> Any:
    for one in body["data"]:
        if isinstance(one["embedding"], list):
            one["embedding"] = [0.0] * len(one["embedding"])
    return body


# moderations


@deviates_body("moderation-drops-results", "only the first text is moderated", MODERATE)
def _one_result(body: Any, call: Call) -> Any:
    return {**body, "results": body["results"][:1]}


@deviates_body("moderation-flags-clean", "flagged is the opposite of what the categories say", MODERATE)
def _flags_clean(body: Any, call: Call) -> Any:
    for one in body["results"]:
        one["flagged"] = not one["flagged"]
    return body


@deviates_body("moderation-score-above-one", "scores are percentages", MODERATE)
def _percent(body: Any, call: Call) -> Any:
    for one in body["results"]:
        one["category_scores"] = {name: score * 100 for name, score in one["category_scores"].items()}
        one["category_scores"]["hate"] += 2
    return body


@deviates_body("moderation-scores-inverted", "a high score means harmless", MODERATE)
def _inverted(body: Any, call: Call) -> Any:
    for one in body["results"]:
        one["category_scores"] = {name: 1 - score for name, score in one["category_scores"].items()}
    return body


# images


@deviates_body("image-one-more", "one image more than asked for", *IMAGES)
def _image_more(body: Any, call: Call) -> Any:
    return {**body, "data": [*body["data"], body["data"][0]]}


@deviates_body("image-always-url", "b64_json is never given", *IMAGES)
def _always_url(body: Any, call: Call) -> Any:
    for one in body["data"]:
        if "b64_json" in one:
            one["url"] = f"data:image/png;base64,{one.pop('b64_json')}"
    return body


@deviates_body("image-wrong-size", "images are 64x64, whatever size was asked for", *IMAGES)
def _small(body: Any, call: Call) -> Any:
    for one in body["data"]:
        if "b64_json" in one:
            one["b64_json"] = base64.b64encode(png(64, 64, 0)).decode()
    return body


@deviates_body("image-url-relative", "URLs of images are paths", *IMAGES)
def _relative(body: Any, call: Call) -> Any:
    for one in body["data"]:
        if "url" in one:
            one["url"] = "/images/1.png"
    return body


# audio


@deviates_body("transcript-times-backwards", "segments and words end before they start", TRANSCRIBE)
def _backwards(body: Any, call: Call) -> Any:
    for one in (*body.get("segments", ()), *body.get("words", ())):
        one["start"], one["end"] = one["end"], one["start"]
    return body


@deviates_body("transcript-without-words", "words are never given", TRANSCRIBE)
def _no_words(body: Any, call: Call) -> Any:
    body.pop("words", None)
    return body


@deviates_body("translation-in-source-language", "a translation names its source language", TRANSLATE)
def _source_language(body: Any, call: Call) -> Any:
    return {**body, "language": "german"} if "language" in body else body


# models


@deviates_body("models-listed-twice", "each model stands in the list twice", "listModels")
def _twice(body: Any, call: Call) -> Any:
    return {**body, "data": [*body["data"], *body["data"]]}


@deviates_body("model-of-another-name", "a model is shown under another's id", "retrieveModel")
def _another(body: Any, call: Call) -> Any:
    return {**body, "id": "somebody-else"}
