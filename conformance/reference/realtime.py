"""The realtime WebSocket: a session, conversation items, and text responses."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any

from .core import SOCKETS, Call, Receive, Record, Refusal, Send, handles, new_id
from .faults import declare
from .responses import prompt_of
from .seed import MODELS
from .text import compose, count, tokens
from .validation import parse_json


@handles("connectRealtime")
def without_upgrade(call: Call) -> None:
    """A plain GET: this path speaks WebSocket only."""
    if call.fault("realtime-ignores-missing-upgrade"):
        return
    raise Refusal(
        426,
        "This path takes WebSocket connections only.",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
    )


declare("realtime-silent", "a realtime connection opens without session.created")
declare("realtime-aborts", "a realtime connection is closed with 1011 as soon as it is open")


declare("realtime-ignores-missing-upgrade", "a plain GET of the realtime path is answered with success")


class Session:
    """One connection's conversation. ``send`` carries ASGI messages."""

    def __init__(self, call: Call, send: Send) -> None:
        self._send = send
        self.items: list[Record] = []
        self.session: Record = {
            "id": new_id("sess_"),
            "object": "realtime.session",
            "model": call.query.get("model") or MODELS["realtime"],
            "modalities": ["text"],
            "instructions": "",
            "voice": "alloy",
            "tools": [],
            "tool_choice": "auto",
            "temperature": 0.8,
        }

    async def say(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": new_id("event_"), **fields}
        await self._send({"type": "websocket.send", "text": json.dumps(event)})

    async def hear(self, raw: str | bytes) -> None:
        """Act on one client event; what is not understood gets an ``error`` event."""
        try:
            event = parse_json(raw.encode("utf-8") if isinstance(raw, str) else raw)
            kind = event["type"]
        except (Refusal, KeyError, TypeError, UnicodeError):
            await self._error("An event is a JSON object with a type.")
            return
        if kind == "session.update" and isinstance(event.get("session"), dict):
            fixed = {name: self.session[name] for name in ("id", "object", "model")}
            self.session = {**self.session, **event["session"], **fixed}
            await self.say("session.updated", session=self.session)
        elif kind == "conversation.item.create" and isinstance(event.get("item"), dict):
            item = {"id": new_id("item_"), "object": "realtime.item", "status": "completed", **event["item"]}
            before = self.items[-1]["id"] if self.items else None
            self.items.append(item)
            await self.say("conversation.item.created", previous_item_id=before, item=item)
        elif kind == "response.create":
            await self._respond()
        else:
            await self._error(f"There is no event of type {str(kind)[:64]!r}.")

    async def _error(self, message: str) -> None:
        error = {"type": "invalid_request_error", "code": "invalid_event", "message": message, "param": None}
        await self.say("error", error=error)

    async def _respond(self) -> None:
        prompt = prompt_of(self.items)
        text = compose(prompt)
        response: Record = {
            "id": new_id("resp_"),
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
        }
        await self.say("response.created", response=response)
        part = {"type": "text", "text": text}
        item = {
            "id": new_id("item_"),
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        at = {"response_id": response["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        for piece in tokens(text):
            await self.say("response.text.delta", delta=piece, **at)
        await self.say("response.text.done", text=text, **at)
        self.items.append(item)
        read, written = count(prompt), count(text)
        usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        done = {**response, "status": "completed", "output": [item], "usage": usage}
        await self.say("response.done", response=done)


async def converse(call: Call, receive: Receive, send: Send) -> None:
    """Accept, greet with ``session.created``, and answer until the client closes."""
    await send({"type": "websocket.accept", "headers": [(b"x-portkey-trace-id", new_id("").encode())]})
    if call.fault("realtime-aborts"):
        await send({"type": "websocket.close", "code": 1011, "reason": "internal error"})
        return
    session = Session(call, send)
    if not call.fault("realtime-silent"):
        await session.say("session.created", session=session.session)
    while True:
        message: MutableMapping[str, Any] = await receive()
        if message["type"] == "websocket.disconnect":
            return
        raw = message.get("text")
        await session.hear(raw if raw is not None else message.get("bytes") or b"")


SOCKETS["connectRealtime"] = converse
