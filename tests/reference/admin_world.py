"""A client for the control plane whose every answer is held against the contract, formats included."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jsonschema_rs
from schema_help import converted, document, operations, registry
from world import World

from conformance.reference.admin.people import givens
from conformance.reference.admin.traffic import record_traffic

Body = dict[str, Any]
EMAIL = "ada@example.com"
NAMES = iter(range(10**9))


@cache
def strict_validator(operation_id: str) -> jsonschema_rs.Validator:
    """Of the documented 200; date-time, uuid, email and uri are checked as well."""
    response = operations()[operation_id][2]["responses"]["200"]
    while "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema = converted(response["content"]["application/json"]["schema"])
    return jsonschema_rs.validator_for(schema, registry=registry(), validate_formats=True)


class AdminWorld(World):
    """``World`` with stricter validation and the ids of what a fresh organisation holds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tenant = self.gateway.keys[self.credentials["owner"]["x-portkey-api-key"]].tenant
        self.given = givens(self.tenant)

    def ok(self, operation: str, body: Any = None, query: Body | None = None, **path: str) -> Any:
        """The JSON of an answer that must be 200."""
        response = self.send(operation, body, query, **path)
        assert response.status_code == 200, f"{operation}: {response.status_code} {response.text}"
        answer = response.json()
        if self.validate:
            problems = [
                f"{e.instance_path}: {e.message}" for e in strict_validator(operation).iter_errors(answer)
            ]
            assert not problems, f"{operation}: {problems} in {answer}"
        return answer

    def status(self, operation: str, body: Any = None, query: Body | None = None, **path: str) -> int:
        """The status of an answer; a refusal must have an error body."""
        response = self.send(operation, body, query, **path)
        if response.status_code >= 400:
            answer = response.json()
            assert answer.get("error") or answer["data"]["message"]
        return response.status_code

    def call(self, **facts: Any) -> None:
        """Record one inference call of the owner's organisation."""
        record_traffic(self.tenant, {"model": "m", **facts})


def stamp(offset: float) -> str:
    """A time so many seconds from now, as the contract writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


def fresh(prefix: str) -> str:
    return f"{prefix}-{next(NAMES)}"
