"""The openai SDK drives assistants on the reference gateway to their ends, by its own helpers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from sdk.conftest import Client

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FORCED = {"type": "function", "function": {"name": "get_weather"}}
QUICK = 20  # milliseconds between the SDK's polls


@pytest.fixture(scope="module")
def assistant(client: Client) -> Iterator[str]:
    made = client.sdk.beta.assistants.create(model=client.model, name="sdk", tools=[WEATHER])
    yield made.id
    assert client.sdk.beta.assistants.delete(made.id).deleted


@pytest.fixture
def thread(client: Client) -> Iterator[str]:
    made = client.sdk.beta.threads.create(messages=[{"role": "user", "content": "Reply with the word ok."}])
    yield made.id
    assert client.sdk.beta.threads.delete(made.id).deleted


class Handler(openai.AssistantEventHandler):
    """Keeps what the SDK calls it for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text = ""
        self.done_text = ""
        self.errors: list[Exception] = []

    def on_event(self, event: Any) -> None:
        self.seen.append(event.event)

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""
        assert snapshot.value == self.text

    def on_text_done(self, text: Any) -> None:
        self.done_text = text.value

    def on_exception(self, exception: Exception) -> None:
        self.errors.append(exception)


def test_a_run_is_polled_to_its_end(client: Client, assistant: str, thread: str) -> None:
    """create_and_poll must return a completed run that has left one message and its step."""
    runs = client.sdk.beta.threads.runs
    run = runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, tool_choice="none", poll_interval_ms=QUICK
    )
    assert run.status == "completed"
    assert run.usage is not None
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens
    messages = list(client.sdk.beta.threads.messages.list(thread, run_id=run.id))
    assert [message.role for message in messages] == ["assistant"]
    steps = list(runs.steps.list(run.id, thread_id=thread))
    assert [step.type for step in steps] == ["message_creation"]


def test_tool_outputs_are_submitted_and_polled(client: Client, assistant: str, thread: str) -> None:
    """A forced function must stop the run, and its output lead it to its end."""
    runs = client.sdk.beta.threads.runs
    run = runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, tool_choice=FORCED, poll_interval_ms=QUICK
    )
    assert run.status == "requires_action"
    assert run.required_action is not None
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"]
    ended = runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=[{"tool_call_id": call.id, "output": "22 degrees"} for call in calls],
        poll_interval_ms=QUICK,
    )
    assert (ended.id, ended.status) == (run.id, "completed")


def test_a_waiting_run_is_cancelled(client: Client, assistant: str, thread: str) -> None:
    """cancel must lead to cancelled, and the SDK's poll must see it end there."""
    runs = client.sdk.beta.threads.runs
    run = runs.create_and_poll(
        thread_id=thread, assistant_id=assistant, tool_choice=FORCED, poll_interval_ms=QUICK
    )
    assert runs.cancel(run.id, thread_id=thread).status in ("cancelling", "cancelled")
    assert runs.poll(run.id, thread_id=thread, poll_interval_ms=QUICK).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        runs.cancel(run.id, thread_id=thread)


def test_a_thread_is_created_and_run_in_one_stream(client: Client, assistant: str) -> None:
    """create_and_run_stream must call the handler for every stage, in order, and add up its deltas."""
    handler = Handler()
    with client.sdk.beta.threads.create_and_run_stream(
        assistant_id=assistant,
        thread={"messages": [{"role": "user", "content": "Reply with the word ok."}]},
        tool_choice="none",
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.errors == []
    assert handler.seen[0] == "thread.created"
    assert handler.seen[1] == "thread.run.created"
    assert handler.seen[-1] == "thread.run.completed"
    assert handler.text
    assert handler.done_text == handler.text
    run = handler.current_run
    assert run is not None
    assert run.status == "completed"
    messages = handler.get_final_messages()
    assert messages[0].content[0].text.value == handler.text  # type: ignore[union-attr]
    client.sdk.beta.threads.delete(run.thread_id)


def test_a_stream_goes_on_after_tool_outputs(client: Client, assistant: str, thread: str) -> None:
    """runs.stream must stop where outputs are wanted; submit_tool_outputs_stream must go on to the end."""
    runs = client.sdk.beta.threads.runs
    with runs.stream(thread_id=thread, assistant_id=assistant, tool_choice=FORCED) as stream:
        run = stream.get_final_run()
    assert run.status == "requires_action"
    assert run.required_action is not None
    outputs = [
        {"tool_call_id": call.id, "output": "22 degrees"}
        for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    handler = Handler()
    with runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=thread,
        tool_outputs=outputs,  # type: ignore[arg-type]
        event_handler=handler,
    ) as stream:
        stream.until_done()
    assert handler.seen[-1] == "thread.run.completed"
    assert handler.text


def test_lists_are_walked_page_by_page(client: Client, thread: str) -> None:
    """The SDK's own paging must yield every message once."""
    messages = client.sdk.beta.threads.messages
    made = [messages.create(thread, role="user", content=f"message {number}").id for number in range(4)]
    walked = [message.id for message in messages.list(thread, limit=2, order="asc")]
    assert walked[1:] == made
