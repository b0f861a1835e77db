"""The committed contracts: sizes, identities, planes, errata."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from conformance.contract import Contract, contract_names, load_contract, validators
from conformance.contract.importer import dump, import_text, operations_of, parse
from conformance.contract.lint import by_kind, lint
from conformance.contract.loader import (
    CACHE_VARIABLE,
    STRICTNESSES,
    compile_contract,
    find_sources,
    specs_root,
    write_compiled,
)
from conformance.contract.operations import stable_id
from conformance.contract.overlay import read_overlay
from conformance.errors import ContractError, UnknownNameError, UsageError
from conformance.model import Plane

PORTKEY = specs_root() / "portkey"


def test_the_whole_of_the_contract_is_there(portkey: Contract) -> None:
    """224 operations, 139 paths, 503 published schemas, 49 groups: losing one must show."""
    published = parse((PORTKEY / "openapi.yaml").read_text(encoding="utf-8"), source="openapi.yaml")
    assert len(published["components"]["schemas"]) == 503
    assert len(published["paths"]) == 139
    assert sum(1 for _ in operations_of(published)) == 224
    assert len(portkey.operations) == len({one.id for one in portkey.operations}) == 224
    assert len(portkey.groups) == 49


def test_the_openai_contract_is_its_one_operation() -> None:
    """The second contract must stay the one operation of its page, with its own 4XX and event stream."""
    (operation,) = load_contract("openai").operations
    assert (operation.id, operation.label, operation.streaming) == (
        "createThreadAndRun",
        "POST /threads/runs",
        True,
    )
    assert operation.statuses == ("200", "4XX")


@pytest.mark.parametrize("name", ["portkey", "openai"])
def test_the_committed_contract_is_stripped(name: str) -> None:
    """Importing the committed document again must change nothing: no prose, no extensions in it."""
    text = (specs_root() / name / "openapi.yaml").read_text(encoding="utf-8")
    assert dump(import_text(text, source=name)) == text


@pytest.mark.parametrize("strictness", STRICTNESSES)
@pytest.mark.parametrize("name", ["portkey", "openai"])
def test_the_committed_compilation_is_current(name: str, strictness: str) -> None:
    """specs/NAME/compiled must be what the sources compile to now, under its recorded digest."""
    sources = find_sources(name, strictness=strictness)
    folder = sources.folder / "compiled"
    assert json.loads((folder / "digests.json").read_text())[strictness] == sources.digest(strictness)
    assert json.loads((folder / f"{strictness}.json").read_text(encoding="utf-8")) == compile_contract(
        sources
    )


def test_the_compiled_file_stays_small() -> None:
    """The compiled contract is read by every process: at most 1.4 MB."""
    assert (PORTKEY / "compiled" / "strict.json").stat().st_size < 1_400_000


def test_loading_is_fast() -> None:
    """A fresh load of the compiled contract must take less than 0.3 s (best of three)."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        load_contract("portkey")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_loading_needs_no_test_tools() -> None:
    """Loading must not pull in the generator, the pytest or the explaining validator: they cost seconds."""
    code = (
        "import sys; from conformance.contract import load_contract; load_contract(); "
        "slow = ('schemathesis', 'hypothesis', 'pytest', 'jsonschema', 'jsonpath_rfc9535'); "
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_ids_are_stable(portkey: Contract) -> None:
    """Published ids must stay, and each of the 79 others must be what the rule gives, so reports compare."""
    published = parse((PORTKEY / "openapi.yaml").read_text(encoding="utf-8"), source="openapi.yaml")
    unnamed = 0
    for method, path, _, definition in operations_of(published):
        compiled = next(
            one for one in portkey.operations if one.method == method.upper() and one.path == path
        )
        unnamed += "operationId" not in definition
        assert compiled.id == definition.get("operationId", stable_id(method, path))
    assert unnamed == 79


def test_the_planes(portkey: Contract) -> None:
    """74 data, 149 control, and pricing alone on the public plane without a key."""
    planes = Counter(one.plane for one in portkey.operations)
    assert planes == {Plane.DATA: 74, Plane.CONTROL: 149, Plane.PUBLIC: 1}
    (pricing,) = (one for one in portkey.operations if one.plane is Plane.PUBLIC)
    assert pricing.path == "/model-configs/pricing/{provider}/{model}"
    assert [one.id for one in portkey.operations if one.public] == [pricing.id]
    assert portkey.operation("getLogsExports").plane is Plane.CONTROL
    assert portkey.operation("createPromptCompletion").plane is Plane.DATA


def test_streams_and_the_websocket(portkey: Contract) -> None:
    """What offers `stream` must declare an event stream, and nothing else; /realtime alone is a websocket."""
    assert {one.id for one in portkey.operations if one.streaming} == {
        "createChatCompletion",
        "createCompletion",
        "createPromptCompletion",
        "createResponse",
        "createRun",
        "createThreadAndRun",
        "submitToolOuputsToRun",
    }
    assert [one.path for one in portkey.operations if one.websocket] == ["/realtime"]


def test_every_operation_accepts_an_honest_refusal(portkey: Contract) -> None:
    """Each envelope gateways send must be valid on any 4xx of any operation; an empty object on none."""
    rules = validators(portkey)
    honest = [
        {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}},
        {"error": {"message": "no", "code": 400}},
        {"error": "no"},
        {"success": False, "data": {"message": "no", "errorCode": "AB01"}},
        {"status": "failure", "message": "no"},
        {"message": "no"},
    ]
    for operation in portkey.operations:
        for status in (400, 401, 403, 404, 405, 409, 422, 429):
            rule = rules.response(operation.id, status)
            assert rule is not None, (operation.id, status)
            validator = rule.media["application/json"]
            assert validator is not None
            assert all(validator.is_valid(one) for one in honest), (operation.id, status)
            for bad in (
                {},
                [],
                "no",
                None,
                {"error": None},
                {"success": True, "data": {"message": "no"}},
                {"detail": 1},
            ):
                assert not validator.is_valid(bad), (operation.id, status, bad)


def test_every_action_has_a_reason_of_its_own() -> None:
    """Each action must be numbered and say why; catalogue numbers alone are no reason."""
    for strictness in STRICTNESSES:
        for action in read_overlay(PORTKEY / f"errata.{strictness}.overlay.yaml").actions:
            number, _, reason = action.reason.partition(": ")
            assert number.rsplit("-", 1)[-1].isdecimal(), action
            assert len(reason.split()) > 4, action
    assert len(read_overlay(PORTKEY / "errata.lenient.overlay.yaml").actions) == 24


def test_lenient_only_loosens(portkey: Contract) -> None:
    """What lenient refuses strict must refuse too: here, a run that lacks what only samples lack."""
    lenient = load_contract("portkey", strictness="lenient")
    assert lenient.digest != portkey.digest
    assert [one.id for one in lenient.operations] == [one.id for one in portkey.operations]
    removed = "required_action"
    schema = portkey.document["components"]["schemas"]["RunObject"]["required"]
    assert removed in schema
    assert removed not in lenient.document["components"]["schemas"]["RunObject"]["required"]


def test_what_is_left_to_lint(portkey: Contract) -> None:
    """After the errata only these kinds may remain, with these counts; a new one is a regression."""
    counts = {kind: len(remarks) for kind, remarks in by_kind(lint(portkey)).items()}
    assert counts == {"response-without-required": 46, "unreachable-schema": 28}


def test_lint_sees_what_the_errata_mend(tmp_path: Path) -> None:
    """On the published document without errata lint must find the faults the errata are there for."""
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "openapi.yaml").write_bytes((PORTKEY / "openapi.yaml").read_bytes())
    groups = by_kind(lint(load_contract("bare", specs_dir=tmp_path)))
    counts = {kind: len(remarks) for kind, remarks in groups.items()}
    assert counts["missing-4xx"] == 169
    assert counts["response-without-required"] > 109
    for kind in (
        "request-example",
        "response-example",
        "oneof-overlap",
        "nullable-enum",
        "unsatisfiable-required",
    ):
        assert counts[kind] > 0, kind


def test_matching_a_path(portkey: Contract) -> None:
    """A literal segment must beat a parameter, and an undocumented method must match nothing."""

    def match(method: str, path: str) -> str | None:
        operation = portkey.match(method, path)
        return operation.id if operation else None

    assert match("GET", "/prompts/partials") == "listPromptPartials"
    assert match("GET", "/prompts/pp-1?x=y") == "getPrompt"
    assert match("get", "/threads/thread_1/runs/run_1") == "getRun"
    assert match("PATCH", "/threads/thread_1") is None
    assert match("GET", "/nothing/at/all") is None


def test_definitions_carry_resolved_parameters(portkey: Contract) -> None:
    """A definition must give every parameter in full, those behind references included."""
    for operation in portkey.operations:
        for parameter in portkey.definition(operation.id)["parameters"]:
            assert {"name", "in"} <= set(parameter), operation.id
    names = {one["name"] for one in portkey.definition("listRuns")["parameters"]}
    assert {"thread_id", "limit", "OpenAI-Beta"} <= names


def test_unknown_names_are_refused(portkey: Contract) -> None:
    """A misspelt contract, operation or strictness must name what is there; a path must not escape."""
    with pytest.raises(UnknownNameError, match="portkey"):
        load_contract("portky")
    with pytest.raises(UnknownNameError, match="createRun"):
        portkey.operation("createRunn")
    with pytest.raises(UnknownNameError):
        load_contract("../specs/portkey")
    with pytest.raises(UsageError, match="strict, lenient"):
        load_contract(strictness="loose")
    with pytest.raises(UsageError, match="no-such"):
        load_contract(specs_dir="no-such")
    assert {"openai", "portkey"} <= set(contract_names())


def contract_in(folder: Path, settings: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "openapi.yaml").write_text(
        "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n"
        "  /a/{b}: {get: {}, delete: {}}\n  /a/b: {get: {operationId: getAB}}\n",
        encoding="utf-8",
    )
    (folder / "contract.toml").write_text(settings, encoding="utf-8")
    return folder


def test_operations_without_an_id_get_one(tmp_path: Path) -> None:
    """Any imported document must get ids by the rule, and no two alike."""
    contract_in(tmp_path / "mine")
    loaded = load_contract("mine", specs_dir=tmp_path)
    assert [one.id for one in loaded.operations] == ["getAB2", "deleteAB", "getAB"]
    assert loaded.groups == ("a",)


def test_a_changed_source_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edited document must never be served from what was compiled before; the cache must be used after."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = contract_in(tmp_path / "specs" / "mine")
    write_compiled("mine", specs_dir=tmp_path / "specs")
    before = load_contract("mine", specs_dir=tmp_path / "specs")
    path = folder / "openapi.yaml"
    path.write_text(path.read_text().replace("version: '1'", "version: '2'"))
    after = load_contract("mine", specs_dir=tmp_path / "specs")
    assert (before.version, after.version) == ("1", "2")
    assert before.digest != after.digest
    (cached,) = (tmp_path / "cache" / "contracts").iterdir()
    assert after.digest in cached.name
    cached.write_text("{ half a file")
    assert load_contract("mine", specs_dir=tmp_path / "specs").version == "2"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("[planes]\ndefault = 'moon'\n", "planes.default: 'moon'"),
        ("[planes]\nmoon = ['/a']\n", "planes.moon"),
        ("[planes]\ndata = '/a'\n", "planes.data"),
        ("[errata]\nloose = 'x'\n", "errata.loose"),
        ("[errata]\nstrict = 'x.yaml'\n", "no file x.yaml"),
        ("[typo]\n", "unknown key typo"),
        ("planes = [\n", "contract.toml"),
    ],
)
def test_a_faulty_contract_toml_is_refused(tmp_path: Path, settings: str, why: str) -> None:
    """Each mistake must be one ContractError that names the key."""
    contract_in(tmp_path / "mine", settings)
    with pytest.raises(ContractError, match=why):
        load_contract("mine", specs_dir=tmp_path)
