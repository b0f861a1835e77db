"""What a gateway may get wrong of model responses and their streams."""

from __future__ import annotations

from typing import Any

from ..core import Call, Record
from . import Event, deviates, deviates_body, deviates_events

RESPONSE, CREATE = "response", "createResponse"


@deviates(
    "response-still-in-progress",
    "a response that had ended is in progress when read",
    RESPONSE,
    "getResponse",
)
def still_in_progress(record: Record, call: Call) -> None:
    record.update(status="in_progress", incomplete_details=None)


@deviates("response-error-of-success", "a completed response has an error", RESPONSE)
def error_of_success(record: Record, call: Call) -> None:
    if record.get("status") == "completed":
        record["error"] = {"code": "server_error", "message": "Something happened."}


@deviates("response-usage-miscounted", "total_tokens of a response is one too many", RESPONSE)
def usage_miscounted(record: Record, call: Call) -> None:
    if record.get("usage"):
        record["usage"]["total_tokens"] += 1


@deviates("response-limit-not-echoed", "a response does not say which limit it was given", RESPONSE)
def limit_not_echoed(record: Record, call: Call) -> None:
    record["max_output_tokens"] = None


@deviates_body(
    "input-items-rewritten", "the texts of input items are not those of the input", "listInputItems"
)
def input_rewritten(body: Any, call: Call) -> Any:
    for item in body["data"]:
        for part in item.get("content") or ():
            if "text" in part:
                part["text"] = part["text"].upper()
    return body


@deviates("response-output-text-stale", "output_text is not what the output says", RESPONSE)
def output_text_stale(record: Record, call: Call) -> None:
    record["output_text"] = "Something else."


@deviates("response-items-share-an-id", "all output items of a response have one id", RESPONSE)
def items_share_an_id(record: Record, call: Call) -> None:
    for item in record.get("output") or ():
        item["id"] = "item_0"


@deviates("search-results-uninvited", "results of a file search are shown unasked", RESPONSE)
def results_uninvited(record: Record, call: Call) -> None:
    for item in record.get("output") or ():
        if item["type"] == "file_search_call":
            item["results"] = [{"file_id": "file-1", "text": "Found.", "filename": "a.txt", "score": 0.5}]


# Streams


@deviates_events("response-stream-ends-twice", "the last event of a response stream comes twice", CREATE)
def ends_twice(events: list[Event], call: Call) -> list[Event]:
    return [*events, events[-1]]


@deviates_events("response-item-done-too-soon", "an output item is done as soon as it is added", CREATE)
def done_too_soon(events: list[Event], call: Call) -> list[Event]:
    moved: list[Event] = []
    done = {
        data["output_index"]: (name, data) for name, data in events if name and name.endswith("item.done")
    }
    for name, data in events:
        if name and name.endswith("item.done"):
            continue
        moved.append((name, data))
        if name and name.endswith("item.added"):
            moved.append(done[data["output_index"]])
    return moved


@deviates_events("response-stream-drops-a-delta", "the first delta of a response stream is left out", CREATE)
def drops_a_delta(events: list[Event], call: Call) -> list[Event]:
    first = next((at for at, (name, _) in enumerate(events) if name and name.endswith(".delta")), None)
    return [event for at, event in enumerate(events) if at != first]


@deviates_events("response-indexes-from-one", "output_index counts from one", CREATE)
def indexes_from_one(events: list[Event], call: Call) -> list[Event]:
    for _, data in events:
        if "output_index" in data:
            data["output_index"] += 1
    return events


@deviates_events("response-stream-changes-id", "the last event shows the response under another id", CREATE)
def changes_id(events: list[Event], call: Call) -> list[Event]:
    name, data = events[-1]
    return [*events[:-1], (name, {**data, "response": {**data["response"], "id": "resp_other"}})]


@deviates_events("response-usage-too-soon", "a response that has just begun shows its usage", CREATE)
def usage_too_soon(events: list[Event], call: Call) -> list[Event]:
    for _, data in events[:2]:
        data["response"]["usage"] = events[-1][1]["response"]["usage"]
    return events


@deviates_events("response-events-misnamed", "events of a response stream are all named message", CREATE)
def misnamed(events: list[Event], call: Call) -> list[Event]:
    return [("message", data) for _, data in events]
