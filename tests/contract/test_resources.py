"""The resource graph: complete, honest by the contract's own schemas, and refused when it is wrong."""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from conformance.contract import Contract, load_contract
from conformance.contract.inference import inferred_graph
from conformance.contract.locate import find_specs
from conformance.contract.operations import local
from conformance.contract.resources import (
    FLAGS,
    Graph,
    RequestTemplate,
    build_graph,
    load_graph,
    symbols,
    unique_name,
)
from conformance.contract.schemas import Validators
from conformance.errors import ContractError, UnknownNameError

UUID = "3f0c6f0e-5d3b-4a55-9c0e-6a4f3f0d9b11"
# Facts about the published contract, counted by hand once.
ROLE_TOTALS = {
    "action": 13,
    "bulk-delete": 1,
    "bulk-update": 6,
    "create": 33,
    "delete": 27,
    "download": 3,
    "inference": 12,
    "list": 44,
    "query": 22,
    "read": 37,
    "update": 26,
}
FLAG_TOTALS = {
    "cost": 22,
    "streaming": 7,
    "websocket": 1,
    "smoke-safe": 46,
    "destructive": 28,
    "side-effect": 22,
    "upload": 5,
    "async": 16,
}
OPERATIONS = tuple(one.id for one in load_contract("portkey").operations)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("portkey")


@pytest.fixture(scope="module")
def graph(contract: Contract) -> Graph:
    return load_graph(contract)


@pytest.fixture(scope="module")
def validators(contract: Contract) -> Validators:
    return Validators(contract)


@pytest.fixture
def raw() -> dict[str, Any]:
    text = (find_specs() / "portkey" / "resources.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return copy.deepcopy(loaded)


def dummy(value: Any) -> Any:
    """A plausible value in place of every symbol."""
    if isinstance(value, Mapping):
        found = next(symbols(value), None)
        if found is None or found[2] is not value:
            return {key: dummy(inner) for key, inner in value.items()}
        name, argument, _ = found
        if name in ("$time", "$epoch"):
            at = datetime.now(UTC) + timedelta(seconds=argument)
            return at.isoformat() if name == "$time" else int(at.timestamp())
        return {
            "$model": "a-model",
            "$unique": unique_name(str(argument), "c1a2b3-main-1"),
            "$file": "content",
        }.get(name, UUID)
    return [dummy(inner) for inner in value] if isinstance(value, list | tuple) else value


def body_value(template: RequestTemplate) -> Any:
    """The body as its schema sees it: the parts of a form are an object."""
    if (template.media_type or "").startswith("multipart/"):
        return {part["name"]: dummy(part.get("value", part.get("file"))) for part in template.body}
    return dummy(template.body)


def test_every_operation_has_a_usage_with_resource_and_role(contract: Contract, graph: Graph) -> None:
    """All 224 operations are described; one without an entry would never be exercised honestly."""
    assert len(OPERATIONS) == 224
    assert set(graph.usages) == set(OPERATIONS)
    assert not [name for name in OPERATIONS if not (graph.usage(name).resource and graph.usage(name).role)]


def test_roles_and_flags_add_up(graph: Graph) -> None:
    """The number of operations per role and flag is what counting the contract by hand gives."""
    assert Counter(usage.role for usage in graph.usages.values()) == ROLE_TOTALS
    flags = Counter(flag for usage in graph.usages.values() for flag in usage.flags)
    assert {name: flags[name] for name in FLAG_TOTALS} == FLAG_TOTALS
    assert set(flags) <= FLAGS
    assert sum(one.variant_of is None for one in graph.resources.values()) >= 53


def test_flags_agree_with_the_contract(contract: Contract, graph: Graph) -> None:
    """A streaming, websocket or upload flag is where the contract says so, and nowhere else."""
    for operation in contract.operations:
        flags = graph.usage(operation.id).flags
        assert ("websocket" in flags) == operation.websocket, operation.id
        assert ("upload" in flags) == ("multipart/form-data" in operation.request_media), operation.id
        assert ("streaming" in flags) == operation.streaming, operation.id
        assert ("destructive" in flags) == (operation.method == "DELETE"), operation.id


@pytest.mark.parametrize("name", OPERATIONS)
def test_canonical_request_keeps_the_contract(
    name: str, contract: Contract, graph: Graph, validators: Validators
) -> None:
    """A canonical request carries every required parameter and body, and each value fits its schema."""
    template = graph.usage(name).canonical
    problems = []
    sent = {
        "query": {key: dummy(value) for key, value in template.query},
        "header": {key.lower(): dummy(value) for key, value in template.headers},
        "path": {key: dummy(value) for key, value in graph.usage(name).path.items()},
    }
    known = set()
    for parameter in contract.definition(name)["parameters"]:
        place = parameter["in"]
        key = parameter["name"].lower() if place == "header" else parameter["name"]
        known.add((place, key))
        if key not in sent[place]:
            if parameter.get("required"):
                problems.append(f"{place} parameter {key} is missing")
            continue
        validator = validators.parameter(parameter)
        if validator is not None and not validator.is_valid(sent[place][key]):
            problems.append(f"{place} parameter {key}: {sent[place][key]!r}")
    problems += [
        f"no such {place} parameter: {key}"
        for place in sent
        for key in sent[place]
        if (place, key) not in known
    ]
    operation = contract.operation(name)
    if template.has_body:
        assert template.media_type in operation.request_media
        validator = validators.request_body(name, template.media_type)
        assert validator is not None
        problems += [f"body{p.pointer}: {p.message}" for p in validator.problems(body_value(template))]
    elif operation.body_required:
        problems.append("the body is missing")
    assert not problems


@pytest.mark.parametrize(
    "name", [one.name for one in load_graph(load_contract("portkey")).resources.values() if one.request]
)
def test_request_of_a_variant_keeps_the_contract(name: str, graph: Graph, validators: Validators) -> None:
    """What a variant sends instead of the canonical body fits the schema of the create operation too."""
    resource = graph.resource(name)
    assert resource.create is not None
    assert resource.request is not None
    template = resource.request
    validator = validators.request_body(resource.create, template.media_type or "")
    assert validator is not None
    assert not validator.problems(body_value(template))
    repeated = dict(graph.usage(resource.create).canonical.headers).keys() & dict(template.headers).keys()
    assert not repeated, "headers are added to those of the canonical request"


def test_a_single_valued_required_parameter_need_not_be_written(graph: Graph, raw: dict[str, Any]) -> None:
    """The beta header is in the request though no entry of the file repeats it."""
    assert "OpenAI-Beta" not in yaml.safe_dump(raw)
    assert dict(graph.usage("createThread").canonical.headers) == {"OpenAI-Beta": "assistants=v2"}


def test_chains_put_parents_first_and_are_complete(graph: Graph) -> None:
    """Whatever a canonical request binds is in its chain, and nothing stands before what it needs."""
    for name in OPERATIONS:
        chain = [one.name for one in graph.chain(name)]
        for index, resource in enumerate(chain):
            assert set(graph.parents[resource]) <= set(chain[:index]), f"{name}: {resource}"
        bound_names = {
            argument for kind, argument, _ in symbols(dict(graph.usage(name).path)) if kind == "$bind"
        }
        assert bound_names <= set(chain), name


@pytest.mark.parametrize(
    ("operation", "chain"),
    [
        ("getRunStep", ["assistant", "thread", "run_completed", "run_step"]),
        ("submitToolOuputsToRun", ["assistant", "thread", "run_requiring_action"]),
        ("createPromptCompletion", ["workspace", "collection", "virtual_key", "prompt"]),
        ("getBatchOutput", ["batch_file", "batch_completed"]),
        ("deleteProvidersSlug", ["workspace", "integration", "integration_workspace", "provider"]),
        ("getModelPricing", []),
    ],
)
def test_chain_of_a_hard_operation(operation: str, chain: list[str], graph: Graph) -> None:
    """The chains that a walk over the contract cannot guess are exactly these."""
    assert [one.name for one in graph.chain(operation)] == chain


def test_everything_created_goes_again_or_says_why_not(graph: Graph) -> None:
    """No creation without removal, a parent that takes it along, or a reason in words."""
    for resource in graph.resources.values():
        if resource.create is not None:
            assert resource.delete or resource.goes_with or resource.residue, resource.name


def test_every_create_and_delete_operation_belongs_to_a_resource(contract: Contract, graph: Graph) -> None:
    """A success of a create operation is always in the ledger; a delete operation always removes one."""
    for name, usage in graph.usages.items():
        if usage.role == "create":
            assert graph.created_by(name) is not None, name
    assert graph.created_by("createChatCompletion") is None, "an inference call leaves nothing to remove"
    deletes = {one.delete for one in graph.resources.values()}
    kept = {name for name, usage in graph.usages.items() if usage.role == "delete"} - deletes
    assert kept == {"deleteModel", "deleteAdminUsersUserId"}, "these consume a given, once"
    assert all("once" in graph.usage(name).flags for name in kept)


def test_a_variant_is_itself_in_its_own_operations(graph: Graph) -> None:
    """Waiting for, stopping and deleting a variant concern that variant, not the resource it varies."""
    run = graph.resource("run_requiring_action")
    own = {"thread_id": {"$bind": "thread"}, "run_id": {"$bind": "run_requiring_action"}}
    assert run.wait is not None
    assert run.wait.path == own
    assert run.stop_path == own
    assert graph.resource("batch_file").delete_path == {"file_id": {"$bind": "batch_file"}}
    assert graph.resource("thread_and_run").delete_path == {"thread_id": {"$bind": "thread_and_run"}}


def test_what_wants_an_id_says_how_an_unknown_one_looks(graph: Graph) -> None:
    """Only literals, free words and enumerations are exempt from the unknown-id concern."""
    exempt = {"postApiKeysTypeSubType", "getModelPricing", "getAnalyticsGroupsMetadataMetadataKey"}
    for name, usage in graph.usages.items():
        expected = set() if name in exempt else set(usage.path)
        assert set(usage.unknown) == expected, name
        assert set(usage.unknown_values) == expected, name
    assert graph.usage("getRun").unknown_values == {
        "thread_id": {"$unknown": "thread_"},
        "run_id": {"$unknown": "run_"},
    }


def test_unknown_ids_of_uuid_parameters_are_uuids(contract: Contract, graph: Graph) -> None:
    """Where the contract wants a UUID the unknown id is one, or a 400 would be the right answer."""
    for name, usage in graph.usages.items():
        for parameter in contract.definition(name)["parameters"]:
            if parameter["in"] == "path" and parameter["schema"].get("format") == "uuid":
                assert usage.unknown_values[parameter["name"]] == {"$unknown": "uuid"}, name


def test_needs_come_through_the_chain(graph: Graph) -> None:
    """What a target must offer includes what the preparation asks for."""
    assert graph.needs("retrieveFile") == {"uploads"}
    assert graph.needs("cancelRun") == {"function-tools"}
    assert graph.needs("connectRealtime") == {"realtime"}
    assert graph.needs("createTranscription") == {"uploads"}
    assert graph.needs("createChatCompletion") == frozenset()
    assert graph.model_roles("createTranscription") == {"transcription"}
    assert graph.model_roles("getRun") == {"chat"}
    assert graph.model_roles("listFiles") == frozenset()


def test_names_carry_the_marker() -> None:
    """A fresh name shows the mark, in place of the star where there is one."""
    assert unique_name("thread", "m1-7") == "thread-m1-7"
    assert unique_name("*@example.com", "m1-7") == "m1-7@example.com"


def _declares(contract: Contract, schema: Any, steps: list[str]) -> bool:
    """Whether a schema has a place for a location such as ``tools``, ``[]``, ``id``."""
    schema = local(contract.document, schema)
    branches = [one for key in ("allOf", "anyOf", "oneOf") for one in schema.get(key, ())]
    if not steps or any(_declares(contract, one, steps) for one in branches):
        return True
    if steps[0] == "[]":
        return "items" in schema and _declares(contract, schema["items"], steps[1:])
    place = schema.get("properties", {}).get(steps[0])
    return place is not None and _declares(contract, place, steps[1:])


def _bodies(contract: Contract, operation: str) -> list[Any]:
    body = local(contract.document, contract.definition(operation).get("requestBody")) or {}
    return [media["schema"] for media in (body.get("content") or {}).values()]


def test_every_rebound_place_is_in_the_contract(contract: Contract, graph: Graph) -> None:
    """A location that the contract does not know would rebind nothing and never be missed."""
    lost = []
    for name, usage in graph.usages.items():
        parameters = {one["name"] for one in contract.definition(name)["parameters"] if one["in"] == "query"}
        for location, _ in usage.bind:
            where, _, place = location.partition(":")
            steps = place.replace("[]", ".[]").split(".")
            found = any(_declares(contract, one, steps) for one in _bodies(contract, name))
            if not (place in parameters if where == "query" else found):
                lost.append(f"{name} {location}")
    assert not lost


def test_what_is_created_can_be_recognised(contract: Contract, graph: Graph) -> None:
    """Where a create request can carry a name or metadata, it carries the marker of the execution."""
    silent = []
    for name, usage in graph.usages.items():
        nameable = any(
            _declares(contract, one, [key]) for one in _bodies(contract, name) for key in ("name", "metadata")
        )
        marked = any(kind == "$unique" for kind, _, _ in symbols(usage.canonical.body))
        if usage.role == "create" and nameable and not marked:
            silent.append(name)
    assert not silent


def test_the_other_contract_loads() -> None:
    """The one-operation contract takes its assistant as given and owns up to the thread it leaves."""
    graph = load_graph(load_contract("openai"))
    usage = graph.usage("createThreadAndRun")
    assert usage.canonical.body["assistant_id"] == {"$given": "assistant"}
    made = graph.created_by("createThreadAndRun")
    assert made is not None
    assert made.residue
    assert made.delete is None


def test_an_operation_without_an_entry_has_an_empty_usage(graph: Graph) -> None:
    """Asking for an operation the file leaves out is no error; asking for a resource is."""
    assert graph.usage("notThere").path == {}
    with pytest.raises(UnknownNameError, match="no resource named 'thred'"):
        graph.resource("thred")


def test_a_graph_is_inferred_where_none_is_written(contract: Contract) -> None:
    """Without a file, the collection above an id makes it, and what nothing makes is a given."""
    graph = build_graph(inferred_graph(contract), contract, source="inferred")
    assert graph.resource("threads").delete == "deleteThread"
    assert graph.usage("getRun").path == {
        "thread_id": {"$bind": "threads"},
        "run_id": {"$bind": "threads_runs"},
    }
    assert [one.name for one in graph.chain("getRun")] == ["threads", "threads_runs"]
    assert graph.usage("getAdminUsersUserId").path == {"userId": {"$given": "userId"}}


def _need_itself(raw: dict[str, Any]) -> None:
    raw["resources"]["assistant"]["after"] = ["run"]


def _set(*path: str, value: Any) -> Any:
    def change(raw: dict[str, Any]) -> None:
        place: Any = raw
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("operations", "getThred", value={}), r"operations: no operation named 'getThred'.*getThread"),
        (
            _set("resources", "thread", "create", value="makeThread"),
            r"resources.thread: create: no operation named 'makeThread'",
        ),
        (
            _set("operations", "getThread", "path", "thread_id", value={"$bind": "thred"}),
            r"operations.getThread: no resource named 'thred'.*did you mean thread",
        ),
        (
            _set("operations", "getThread", "path", value={}),
            r"operations.getThread: path parameter thread_id has no value",
        ),
        (
            _set("operations", "getThread", "path", "id", value="x"),
            r"operations.getThread: path parameter id does not exist",
        ),
        (
            _set("operations", "getThread", "path", "thread_id", value={"$bound": "thread"}),
            r"unknown symbol \$bound.*known: \$bind",
        ),
        (
            _set("operations", "getThread", "path", "thread_id", value={"$given": "x", "at": "id"}),
            r"\$given with \['at'\]",
        ),
        (
            _set("operations", "getThread", "path", "thread_id", value={"$bind": "analytics"}),
            r"resource analytics has no id to bind",
        ),
        (_set("operations", "getThread", "flags", value=["slow"]), r"getThread: unknown flag 'slow'.*cost"),
        (_set("operations", "getThread", "role", value="fetch"), r"getThread: unknown role 'fetch'"),
        (_set("operations", "getThread", "needs", value="telepathy"), r"unknown capability 'telepathy'"),
        (_set("operations", "getThread", "bnid", value={}), r"operations.getThread: unknown key bnid"),
        (
            _set("operations", "getThread", "unknown", value={"threadId": "thread_"}),
            r"getThread: unknown: no path parameter threadId",
        ),
        (_set("operations", "getThread", "unknown", value=["thread_id", "x"]), r"no path parameter x"),
        (
            _set("operations", "createThread", "bind", value={"metadata": {"$bind": "file"}}),
            r"'metadata' is no location",
        ),
        (
            _set("operations", "createEmbedding", "body", "model", value={"$model": "vision"}),
            r"unknown model role 'vision'",
        ),
        (
            _set("resources", "thread", value={"create": "createThread", "id": "id"}),
            r"thread: nothing removes it",
        ),
        (
            _set("resources", "message", "goes_with", value="tread"),
            r"resources.message: no resource named 'tread'",
        ),
        (
            _set("resources", "thread", "delete", value="deleteAssistant"),
            r"resources.thread: delete: no path parameter of deleteAssistant is this resource",
        ),
        (_set("resources", "run_step", "find", "items", value="data"), r"run_step: find: unknown key items"),
        (
            _set("resources", "run_completed", "wait", "until", value="completed"),
            r"until: expected a list of texts",
        ),
        (_need_itself, r"resources: a cycle: .*assistant"),
        (_set("resources", value=["thread"]), r"resources: expected a mapping, got list"),
        (_set("extra", value={}), r"the file: unknown key extra"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(
    change: Any, message: str, raw: dict[str, Any], contract: Contract
) -> None:
    """Each mistake in the file is one ContractError that names the place and what is allowed."""
    change(raw)
    with pytest.raises(ContractError, match=message) as caught:
        build_graph(raw, contract, source="portkey/resources.yaml")
    assert str(caught.value).startswith("portkey/resources.yaml: ")
    assert "\n" not in str(caught.value)


ODD: tuple[Any, ...] = (
    None,
    7,
    "odd",
    [],
    ["odd"],
    [{}],
    {},
    {"odd": 1},
    {"$bind": []},
    {"$bind": {}},
    [["thread"]],
    {"a": {"$model": []}},
)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_shape_of_a_file_breaks_the_loader(odd: Any, raw: dict[str, Any], contract: Contract) -> None:
    """Whatever stands in a place, the answer is a graph or a ContractError, never a traceback."""
    kept = {"assistant", "thread", "run", "run_completed", "run_requiring_action", "config", "workspace"}
    raw["resources"] = {name: raw["resources"][name] for name in kept}
    raw["operations"] = {
        k: v for k, v in raw["operations"].items() if v["resource"] in kept and "after" not in v
    }
    raw["operations"]["listRuns"] = {
        "path": {"thread_id": {"$bind": "thread"}},
        "flags": [],
        "unknown": [],
        "bind": {},
    }
    raw["operations"] = {k: {**v, "bind": {}} for k, v in raw["operations"].items()}
    build_graph(raw, contract, source="small")
    places: list[tuple[str, ...]] = [(), ("resources",), ("operations",)]
    for top, entry in (
        ("resources", "run_requiring_action"),
        ("resources", "config"),
        ("operations", "listRuns"),
    ):
        places += [(top, entry), *((top, entry, key) for key in raw[top][entry])]
        places += [
            (top, entry, key) for key in ("after", "id_from", "stop_path", "headers", "prefix", "serial")
        ]
    places += [("resources", "run_completed", "wait", key) for key in ("field", "until", "within_s", "dead")]
    for place in places:
        broken = copy.deepcopy(raw)
        if not place:
            broken = odd
        else:
            _set(*place, value=odd)(broken)
        with contextlib.suppress(ContractError):
            build_graph(broken, contract, source="odd")
