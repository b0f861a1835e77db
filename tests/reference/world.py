"""A small client for the reference gateway that validates every answer it gets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from schema_help import assert_event_valid, assert_valid, operations
from starlette.testclient import TestClient

from conformance.reference.app import App
from conformance.reference.core import Call, Gateway
from conformance.reference.seed import seed

Body = dict[str, Any]
ENDED = ("completed", "failed", "cancelled", "incomplete", "expired")


class World:
    """One gateway and the key of one tenant. Every JSON answer and event is held against the contract."""

    def __init__(self, *, speed: float = 0.0, faults: tuple[str, ...] = (), validate: bool = True) -> None:
        self.gateway = Gateway(speed=speed, faults=frozenset(faults))
        self.credentials = seed(self.gateway, 1).credentials
        self.client = TestClient(App(self.gateway), raise_server_exceptions=True)
        self.validate = validate
        self.who = "owner"

    def send(self, operation: str, body: Any = None, query: Body | None = None, **path: Any) -> Any:
        method, template, _ = operations()[operation]
        headers = {"OpenAI-Beta": "assistants=v2", **self.credentials[self.who]}
        url = "/v1" + template.format(**{name: quote(value, safe="") for name, value in path.items()})
        return self.client.request(method, url, json=body, params=query, headers=headers)

    def ask(
        self, operation: str, body: Any = None, query: Body | None = None, **path: Any
    ) -> tuple[int, Any]:
        """Status and JSON of an answer that fits its schema."""
        response = self.send(operation, body, query, **path)
        answer = response.json()
        if self.validate:
            assert_valid(operation, response.status_code, answer)
        return response.status_code, answer

    def ok(self, operation: str, body: Any = None, query: Body | None = None, **path: Any) -> Any:
        """The JSON of an answer that must be 200."""
        status, answer = self.ask(operation, body, query, **path)
        assert status == 200, f"{operation}: {status} {answer}"
        return answer

    def refused(self, status: int, operation: str, body: Any = None, **path: Any) -> Body:
        """The error body of an answer that must have this status."""
        got, answer = self.ask(operation, body, **path)
        assert got == status, f"{operation}: {got} {answer}"
        assert set(answer["error"]) >= {"message", "type", "param", "code"}
        error: Body = answer["error"]
        return error

    def events(self, operation: str, body: Any, **path: Any) -> list[tuple[str, Any]]:
        """The events of a stream, each of which fits its schema."""
        response = self.send(operation, body, **path)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].split(";")[0] == "text/event-stream"
        found: list[tuple[str, Any]] = []
        for block in response.text.split("\n\n"):
            if block:
                lines = dict(line.split(": ", 1) for line in block.split("\n"))
                data = lines["data"] if lines["data"] == "[DONE]" else json.loads(lines["data"])
                if self.validate:
                    assert_event_valid(operation, lines["event"], data)
                found.append((lines["event"], data))
        return found

    def call(self, operation: str, body: Any = None, **path: str) -> Call:
        """The request as a behaviour receives it."""
        key = self.gateway.keys[self.credentials[self.who]["x-portkey-api-key"]]
        method = operations()[operation][0]
        return Call(operation, method, path, {}, {}, body, key.tenant, key, self.gateway)

    # things to start from

    def assistant(self, **fields: Any) -> Body:
        made: Body = self.ok("createAssistant", {"model": "reference-chat", **fields})
        return made

    def thread(self, *texts: str, **fields: Any) -> Body:
        messages = [{"role": "user", "content": text} for text in texts]
        made: Body = self.ok("createThread", {"messages": messages, **fields})
        return made

    def file(self, content: bytes = b"some text to index") -> str:
        """The id of an uploaded file."""
        sent = {"file": ("notes.txt", content, "text/plain")}
        data, headers = {"purpose": "assistants"}, self.credentials[self.who]
        response = self.client.post("/v1/files", files=sent, data=data, headers=headers)
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def store(self, **fields: Any) -> Body:
        made: Body = self.ok("createVectorStore", fields)
        return made

    def run(self, thread: Body, assistant: Body, **fields: Any) -> Body:
        body = {"assistant_id": assistant["id"], **fields}
        made: Body = self.ok("createRun", body, thread_id=thread["id"])
        return made

    def look(self, run: Body) -> Body:
        seen: Body = self.ok("getRun", thread_id=run["thread_id"], run_id=run["id"])
        return seen

    def until(self, run: Body, *statuses: str, seconds: float = 5.0) -> Body:
        """The run once it has one of the statuses (by default: once it has ended)."""
        wanted = statuses or ENDED
        return waited(lambda: self.look(run), lambda seen: seen["status"] in wanted, seconds)

    def steps(self, run: Body, **query: Any) -> list[Body]:
        """The steps, oldest first."""
        query = {"order": "asc", **query}
        found = self.ok("listRunSteps", query=query, thread_id=run["thread_id"], run_id=run["id"])
        steps: list[Body] = found["data"]
        return steps

    def messages(self, thread_id: str, **query: Any) -> list[Body]:
        """The messages, oldest first."""
        found: list[Body] = self.ok("listMessages", query={"order": "asc", **query}, thread_id=thread_id)[
            "data"
        ]
        return found


def waited(look: Callable[[], Body], enough: Callable[[Body], bool], seconds: float = 5.0) -> Body:
    deadline = time.monotonic() + seconds
    while not enough(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.005)
    return seen


def function(name: str, **properties: Any) -> Body:
    """A function tool whose parameters are these properties."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def calls_of(run: Body) -> list[Body]:
    found: list[Body] = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return found
