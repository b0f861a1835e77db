"""Completions as event streams: beside the whole answer, with usage, with several choices, with a call."""

from __future__ import annotations

from typing import Any

from conformance.exercise.scenarios.inference import CHAT, COMPLETION, NAMED, TOOL, Asking, user
from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import Story


@scenario("chat-stream", CHAT, needs=("chat", "streaming"))
async def chat_stream(story: Story) -> None:
    """The same question is answered whole and as a stream, then with one choice more."""
    ask = Asking(story, CHAT)
    wishes: tuple[dict[str, Any], ...] = ({}, {"n": 2})
    for more in wishes:
        await ask("CHS-09", merge=more)
        await ask(("CHS-01", "CHS-08", "CHS-09"), merge={**more, "stream": True})
    ask.end()


@scenario("chat-stream-usage", CHAT, needs=("chat", "streaming"))
async def chat_stream_usage(story: Story) -> None:
    """A stream that ends with its usage."""
    ask = Asking(story, CHAT)
    await ask("CHS-05", merge={"stream": True, "stream_options": {"include_usage": True}})
    ask.end()


@scenario("chat-stream-call", CHAT, needs=("chat", "streaming", "function-tools"))
async def chat_stream_call(story: Story) -> None:
    """A forced call of a function comes in fragments."""
    ask = Asking(story, CHAT)
    rain = {"messages": user("It rains in Paris. Note the weather."), "tools": [TOOL], "tool_choice": NAMED}
    await ask("CHS-07", merge={**rain, "stream": True})
    ask.end()


@scenario("completion-stream", COMPLETION, needs=("chat", "streaming"))
async def completion_stream(story: Story) -> None:
    """Two completions of a prompt as a stream."""
    ask = Asking(story, COMPLETION)
    await ask("CMP-07", merge={"n": 2, "stream": True})
    ask.end()
