"""Validators of a contract, built when first asked for.

jsonschema_rs decides (0.004 ms a value); only a refusal is taken to jsonschema for its reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from conformance.contract.dialect import DRAFT, FORMATS, component_refs, to_json_schema
from conformance.contract.importer import resolve
from conformance.contract.loader import Contract
from conformance.contract.operations import local
from conformance.errors import ContractError
from conformance.model import Operation

EVENT_STREAM: Final = "text/event-stream"
MAX_PROBLEMS: Final = 20
MAX_MESSAGE: Final = 300  # characters
MAX_EXPLAINED: Final = 20_000  # JSON nodes


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for a refusal: JSON pointer into the value, failing keyword, one line of text."""

    pointer: str
    keyword: str
    message: str


@dataclass(frozen=True)
class Validator:
    """One schema, ready to judge JSON values. ``schema`` is self-contained JSON Schema 2020-12."""

    schema: Any = field(repr=False)

    @cached_property
    def _compiled(self) -> Any:
        try:
            return jsonschema_rs.validator_for(
                self.schema,
                validate_formats=True,
                formats=dict(FORMATS),
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=100_000),
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise ContractError(
                f"a schema of the contract cannot be used: {str(error).splitlines()[0]}"
            ) from error

    def is_valid(self, value: Any) -> bool:
        """Whether the value keeps to the schema; what the validator cannot even read does not."""
        compiled = self._compiled
        try:
            return bool(compiled.is_valid(value))
        except (ValueError, TypeError, OverflowError, RecursionError):
            return False

    def problems(self, value: Any) -> list[Problem]:
        """Why a value is refused, the most telling first; empty for a valid one. At most 20."""
        if self.is_valid(value):
            return []
        try:
            found = _explain(self.schema, value) if _within(value, MAX_EXPLAINED) else []
        except Exception:  # explaining must not break a judgement that is already made
            found = []
        return found or self._brief(value)

    def _brief(self, value: Any) -> list[Problem]:
        """The deciding engine's first reason, for values too large or too odd to explain well."""
        try:
            self._compiled.validate(value)
        except jsonschema_rs.ValidationError as error:
            pointer = "".join(f"/{_escape(part)}" for part in error.instance_path)
            keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
            return [Problem(pointer, keyword, _one_line(error.message))]
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            return [Problem("", "json", _one_line(f"cannot be read: {error}"))]
        return [Problem("", "schema", "is not valid by its schema")]


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """What the contract says of one status (or range, or default) of an operation.

    ``media`` maps each documented media type to the validator of its body, None without a schema;
    the body of ``text/event-stream`` is one event. Empty: no body is described.
    """

    status: str
    media: Mapping[str, Validator | None]
    headers: Mapping[str, tuple[bool, Validator | None]]

    def media_key(self, media_type: str) -> str | None:
        """The documented media type or range that covers ``media_type``."""
        major = media_type.split("/")[0]
        return next(
            (key for key in (media_type, f"{major}/*", "*/*") if media_type and key in self.media), None
        )


class Validators:
    """All validators of one contract. Building one takes about a millisecond, once."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._document = contract.document
        self._legacy = str(contract.document.get("openapi", "")).startswith("3.0")
        self._components: dict[tuple[str, bool], Any] = {}
        self._closures: dict[tuple[str, bool], frozenset[str]] = {}
        self._rules: dict[tuple[str, str], ResponseRule] = {}
        self._bodies: dict[tuple[str, str], Validator | None] = {}
        self._shared: dict[tuple[str, bool], Validator] = {}

    def response(self, operation_id: str, status: int) -> ResponseRule | None:
        """The rule for a status: its own, else its range (``4XX``), else ``default``; else None."""
        documented = self.contract.operation(operation_id).statuses
        for wanted in (str(status), f"{status // 100}XX", f"{status // 100}xx", "default"):
            if wanted in documented:
                return self._rule(operation_id, wanted)
        return None

    def request_body(self, operation_id: str, media_type: str) -> Validator | None:
        """The validator of a request body; None when the media type is not documented or has no schema."""
        key = (operation_id, media_type)
        if key not in self._bodies:
            body = local(self._document, self._definition(operation_id).get("requestBody")) or {}
            media = (body.get("content") or {}).get(media_type) or {}
            self._bodies[key] = self.of(media["schema"], response=False) if "schema" in media else None
        return self._bodies[key]

    def event(self, operation_id: str) -> Validator | None:
        """The validator of one server-sent event of a successful answer; None when none is declared."""
        for status in self.contract.operation(operation_id).statuses:
            if status.startswith("2"):
                validator = self._rule(operation_id, status).media.get(EVENT_STREAM)
                if validator is not None:
                    return validator
        return None

    def parameter(self, parameter: Mapping[str, Any]) -> Validator | None:
        """The validator of a (resolved) parameter object's value; None without a schema."""
        schema = parameter.get("schema")
        if schema is None:
            schema = next((media.get("schema") for media in (parameter.get("content") or {}).values()), None)
        return None if schema is None else self.of(schema, response=False)

    def of(self, schema: Any, *, response: bool) -> Validator:
        """The validator of any schema object of the document."""
        ref = schema.get("$ref") if isinstance(schema, dict) and len(schema) == 1 else None
        if isinstance(ref, str):  # one validator for a component, however many operations use it
            if (ref, response) not in self._shared:
                self._shared[ref, response] = Validator(self._bundle(schema, response))
            return self._shared[ref, response]
        return Validator(self._bundle(schema, response))

    def _definition(self, operation_id: str) -> Mapping[str, Any]:
        operation: Operation = self.contract.operation(operation_id)
        definition: Mapping[str, Any] = self._document["paths"][operation.path][operation.method.lower()]
        return definition

    def _rule(self, operation_id: str, status: str) -> ResponseRule:
        key = (operation_id, status)
        if key not in self._rules:
            response = local(self._document, self._definition(operation_id)["responses"][status]) or {}
            media = {
                name.split(";")[0].strip().lower(): (
                    self.of(one["schema"], response=True)
                    if isinstance(one, dict) and "schema" in one
                    else None
                )
                for name, one in (response.get("content") or {}).items()
            }
            self._rules[key] = ResponseRule(status, media, self._headers(response))
        return self._rules[key]

    def _headers(self, response: Mapping[str, Any]) -> dict[str, tuple[bool, Validator | None]]:
        headers: dict[str, tuple[bool, Validator | None]] = {}
        for name, raw in (response.get("headers") or {}).items():
            if name.lower() == "content-type":
                continue  # by OpenAPI the media type says it
            header = local(self._document, raw)
            schema = header.get("schema")
            validator = None if schema is None else self.of(schema, response=True)
            headers[name] = (header.get("required") is True, validator)
        return headers

    def _bundle(self, schema: Any, response: bool) -> Any:
        """A self-contained schema: the components it reaches stand beside it, at their own pointers."""
        root = to_json_schema(schema, response=response, legacy=self._legacy)
        if not isinstance(root, dict):
            return root
        names: set[str] = set()
        for ref in component_refs(root):
            names |= self._reach(ref, response)
        bundled: dict[str, Any] = (
            {"$schema": DRAFT, "allOf": [root]} if "$ref" in root else {"$schema": DRAFT, **root}
        )
        for ref in sorted(names):
            _place(bundled, ref, self._components[ref, response])
        return bundled

    def _reach(self, ref: str, response: bool) -> frozenset[str]:
        """Every reference reachable from one, itself included."""
        if (ref, response) in self._closures:
            return self._closures[ref, response]
        seen: set[str] = set()
        queue = [ref]
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            queue.extend(component_refs(self._component(name, response)))
        self._closures[ref, response] = frozenset(seen)
        return self._closures[ref, response]

    def _component(self, ref: str, response: bool) -> Any:
        if (ref, response) not in self._components:
            try:
                target = resolve(self._document, ref)
            except KeyError:
                raise ContractError(f"the contract refers to nothing: {ref}") from None
            self._components[ref, response] = to_json_schema(target, response=response, legacy=self._legacy)
        return self._components[ref, response]


def validators(contract: Contract) -> Validators:
    """The validators of a contract; keep the value, it remembers what it has built."""
    return Validators(contract)


def _place(bundle: dict[str, Any], ref: str, schema: Any) -> None:
    """Put a referenced schema where its pointer leads."""
    node = bundle
    *parents, last = (
        part.replace("~1", "/").replace("~0", "~") for part in ref.removeprefix("#/").split("/")
    )
    for part in parents:
        node = node.setdefault(part, {})
    node[last] = schema


def _explain(schema: Any, value: Any) -> list[Problem]:
    from jsonschema.exceptions import relevance

    errors = list(islice(_explainer()(schema).iter_errors(value), MAX_PROBLEMS))
    errors.sort(key=relevance, reverse=True)
    found = [_problem(one) for error in errors for one in _telling(error)]
    return list(dict.fromkeys(found))[:MAX_PROBLEMS]


def _telling(error: Any) -> list[Any]:
    """Of a failed choice, the errors of the branch that was meant, if one branch fits by its tags."""
    from jsonschema.exceptions import best_match, relevance

    if error.validator not in ("oneOf", "anyOf") or not error.context:
        return [best_match([error])]
    branches: dict[Any, list[Any]] = {}
    for one in error.context:
        branches.setdefault(one.schema_path[0], []).append(one)
    meant = [errors for errors in branches.values() if not any(_mistagged(one) for one in errors)]
    if len(meant) != 1:
        return [best_match([error])]
    return [leaf for one in sorted(meant[0], key=relevance, reverse=True) for leaf in _telling(one)]


def _mistagged(error: Any) -> bool:
    """Whether an error says that another branch was meant: a wrong tag or a wrong type at its top."""
    if error.validator in ("enum", "const", "type"):
        return len(error.path) <= (0 if error.validator == "type" else 1)
    if error.validator in ("oneOf", "anyOf") and error.context and not error.path:
        branches: dict[Any, bool] = {}
        for one in error.context:
            branch = one.schema_path[0]
            branches[branch] = branches.get(branch, False) or _mistagged(one)
        return all(branches.values())
    return False


@cache
def _explainer() -> Callable[[Any], Any]:
    """jsonschema with our formats, and with the deciding engine's regular expressions.

    Python's would backtrack without end on a hostile string, and read some patterns differently.
    """
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, expression: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not Validator({"pattern": expression}).is_valid(instance):
            yield ValidationError(f"does not match {expression!r}")

    checker = FormatChecker(formats=())
    for name, accepts in FORMATS.items():
        checker.checks(name)(partial(_accepted, accepts))
    kind = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return partial(kind, format_checker=checker)


def _accepted(accepts: Callable[[str], bool], value: object) -> bool:
    return not isinstance(value, str) or accepts(value)


def _problem(error: Any) -> Problem:
    pointer = "".join(f"/{_escape(part)}" for part in error.absolute_path)
    return Problem(pointer, str(error.validator), _one_line(error.message))


def _escape(part: Any) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _one_line(text: str) -> str:
    line = " ".join(text[: MAX_MESSAGE * 2].split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE // 2] + " … " + line[-MAX_MESSAGE // 3 :]


def _within(value: Any, most: int) -> bool:
    """Whether a value has at most ``most`` nodes; a small one is worth a slow explanation."""
    stack, count = [value], 0
    while stack:
        node = stack.pop()
        count += 1
        if count > most:
            return False
        if isinstance(node, dict | list):
            stack.extend(node.values() if isinstance(node, dict) else node)
    return True
