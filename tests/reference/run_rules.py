"""What holds for every observation of a run, written apart from the gateway that must keep it."""

from __future__ import annotations

from typing import Any

ENDS = {"completed", "failed", "cancelled", "incomplete", "expired"}
ACTIVE = {"queued", "in_progress", "requires_action", "cancelling"}
# Reachability, not adjacency: polling skips states.
FROM_CANCELLING = ENDS
WITHOUT_SUBMIT = {
    "queued": ACTIVE | ENDS,
    "in_progress": (ACTIVE - {"queued"}) | ENDS,
    "requires_action": {"requires_action", "cancelling", "cancelled", "expired", "failed"},
    "cancelling": {"cancelling"} | ENDS,
    **{end: {end} for end in ENDS},
}
END_STAMPS = ("completed_at", "failed_at", "cancelled_at")


def check_run(run: dict[str, Any]) -> None:
    """The fields that may, must or must not be null in this status, and the order of the times."""
    status = run["status"]
    assert (run["required_action"] is not None) == (status == "requires_action")
    assert (run["last_error"] is not None) == (status == "failed")
    assert (run["incomplete_details"] is not None) == (status == "incomplete")
    for stamp in END_STAMPS:
        assert (run[stamp] is not None) == (stamp == f"{status}_at"), (stamp, status)
    assert (run["usage"] is not None) == (status in ENDS)
    if status in ("in_progress", "requires_action", "completed", "incomplete"):
        assert run["started_at"] is not None
    if status in ACTIVE:
        assert run["expires_at"] > run["created_at"]
    times = [run[name] for name in ("created_at", "started_at", *END_STAMPS) if run[name] is not None]
    assert times == sorted(times)
    assert all(isinstance(time, int) and time < 10**11 for time in times)
    if run["usage"]:
        usage = run["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    if status == "requires_action":
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        names = {tool["function"]["name"] for tool in run["tools"] if tool["type"] == "function"}
        assert calls
        assert {call["function"]["name"] for call in calls} <= names
        assert len({call["id"] for call in calls}) == len(calls)


def check_steps(run: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    """Steps belong to their run, are closed with it, and their usage sums up to its."""
    for step in steps:
        assert (step["run_id"], step["thread_id"], step["assistant_id"]) == (
            run["id"],
            run["thread_id"],
            run["assistant_id"],
        )
        assert step["type"] == step["step_details"]["type"]
        for stamp in ("completed_at", "failed_at", "cancelled_at", "expired_at"):
            assert (step[stamp] is not None) == (stamp == f"{step['status']}_at")
        assert (step["usage"] is None) == (step["status"] == "in_progress")
        assert (step["last_error"] is None) == (step["status"] != "failed")
        assert run["created_at"] <= step["created_at"]
    if run["status"] in ENDS:
        assert all(step["status"] != "in_progress" for step in steps)
        for kind in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert sum(step["usage"][kind] for step in steps) == run["usage"][kind]
    if run["status"] == "completed":
        assert [step["status"] for step in steps] == ["completed"] * len(steps)
        assert "message_creation" in {step["type"] for step in steps}


def check_stream(events: list[tuple[str, Any]]) -> None:
    """The order of a stream's events, and that its pieces add up to its wholes."""
    names = [name for name, _ in events]
    assert names.count("done") == 1
    assert events[-1] == ("done", "[DONE]")
    runs = [(name.removeprefix("thread.run."), data) for name, data in events if is_run_event(name)]
    for suffix, data in runs:
        assert data["status"] == ("queued" if suffix == "created" else suffix)
        check_run(data)
    assert len({data["id"] for _, data in runs}) == 1
    assert len({data["thread_id"] for _, data in runs}) == 1
    assert is_run_event(names[-2])
    assert sum(suffix in ENDS for suffix, _ in runs) <= 1
    if "thread.run.created" in names:
        first = [suffix for suffix, _ in runs][:3]
        assert first == ["created", "queued", "in_progress"]
    check_family(events, "thread.run.step.", {"completed", "failed", "cancelled", "expired"})
    check_family(events, "thread.message.", {"completed", "incomplete"})
    check_texts(events)
    check_arguments(events)


def is_run_event(name: str) -> bool:
    return name.startswith("thread.run.") and not name.startswith("thread.run.step.")


def check_family(events: list[tuple[str, Any]], prefix: str, ends: set[str]) -> None:
    """created, in_progress, delta*, one end, for each id that the stream creates."""
    by_id: dict[str, list[str]] = {}
    for name, data in events:
        if name.startswith(prefix):
            by_id.setdefault(data["id"], []).append(name.removeprefix(prefix))
    for seen in by_id.values():
        if seen[0] != "created":
            assert seen == ["completed"]  # a tool step that an earlier stream left open
            continue
        assert seen[1] == "in_progress"
        rest = [one for one in seen[2:] if one != "delta"]
        assert seen[2:] == ["delta"] * (len(seen) - 2 - len(rest)) + rest
        assert len(rest) <= 1
        assert set(rest) <= ends


def check_texts(events: list[tuple[str, Any]]) -> None:
    deltas: dict[str, str] = {}
    for name, data in events:
        if name == "thread.message.delta":
            for part in data["delta"]["content"]:
                deltas[data["id"]] = deltas.get(data["id"], "") + part["text"]["value"]
        if name in ("thread.message.completed", "thread.message.incomplete"):
            whole = "".join(part["text"]["value"] for part in data["content"])
            assert deltas.get(data["id"], "") == whole


def check_arguments(events: list[tuple[str, Any]]) -> None:
    said: dict[int, str] = {}
    for name, data in events:
        if name == "thread.run.step.delta":
            for call in data["delta"]["step_details"]["tool_calls"]:
                if call["type"] == "function":
                    said[call["index"]] = said.get(call["index"], "") + call["function"]["arguments"]
        if name == "thread.run.requires_action":
            calls = data["required_action"]["submit_tool_outputs"]["tool_calls"]
            assert [said[index] for index in range(len(calls))] == [
                call["function"]["arguments"] for call in calls
            ]
