"""The corpus keeps its promises on the whole contract: honest, invalid where it says so, reproducible."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.contract import Contract
from conformance.contract.resources import Graph
from conformance.contract.schemas import Validators
from conformance.errors import UnknownNameError, UsageError
from conformance.generation.canonical import canonical_case
from conformance.generation.corpus import Corpus
from conformance.generation.dummies import dummy, is_symbol, symbols
from conformance.generation.effort import EFFORTS
from conformance.model import Case, Purpose

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ("listLabels", "createRun", "createFile", "postAdminWorkspaces", "getAnalyticsGraphsCost")


def everything(contract: Contract, corpus: Corpus) -> Iterator[Case]:
    for operation in contract.operations:
        yield from corpus.cases(operation.id)


def refusals(case: Case, contract: Contract, rules: Validators) -> list[str]:
    """What the contract's own validators refuse, worked out without the wing's own reading of it."""
    found = []
    definition = contract.definition(case.operation)
    query = dict(case.query)
    headers = {name.lower(): value for name, value in case.headers}
    for one in definition.get("parameters", ()):
        where = {"query": query, "path": case.path, "header": headers}[one["in"]]
        name = one["name"].lower() if one["in"] == "header" else one["name"]
        if name not in where:
            if one.get("required"):
                found.append(f"missing {name}")
            continue
        rule = rules.parameter(one)
        value = dummy(where[name])
        spelt = [value, value if isinstance(value, str) else json.dumps(value)]
        if isinstance(value, str) and (one.get("schema") or {}).get("type") != "string":
            with contextlib.suppress(ValueError):
                spelt.append(json.loads(value))
        if (one.get("schema") or {}).get("type") == "array":
            spelt = [[item] for item in spelt]
        if rule is not None and not any(rule.is_valid(item) for item in spelt):
            found.append(f"{one['in']} {name}={value!r}")
    media = contract.operation(case.operation).request_media
    if not case.has_body:
        if contract.operation(case.operation).body_required:
            found.append("no body")
    elif case.media_type not in media:
        found.append(f"media type {case.media_type}")
    elif case.media_type == "application/json":
        body: Any = case.body
        if isinstance(body, dict) and set(body) == {"$raw"}:
            try:
                body = json.loads(body["$raw"])
            except ValueError:
                return [*found, "malformed"]
        rule = rules.request_body(case.operation, "application/json")
        if rule is not None and not rule.is_valid(dummy(body)):
            found.append("body")
    return found


def test_valid_and_example_cases_are_valid_by_the_contract(
    portkey: Contract, corpus: Corpus, request_rules: Validators
) -> None:
    """A generated request that the contract itself refuses would blame an honest target."""
    honest = [case for case in everything(portkey, corpus) if case.purpose is not Purpose.INVALID]
    wrong = {case.id: found for case in honest if (found := refusals(case, portkey, request_rules))}
    assert not wrong
    assert len(honest) > 350


def test_invalid_cases_are_refused_by_the_contract_for_one_reason(
    portkey: Contract, corpus: Corpus, request_rules: Validators
) -> None:
    """A case called invalid that the contract allows would blame a target for accepting it."""
    broken = [
        case
        for case in everything(portkey, corpus)
        if case.purpose is Purpose.INVALID and case.media_type != "multipart/form-data"
    ]
    counts = {case.id: refusals(case, portkey, request_rules) for case in broken}
    assert {name: found for name, found in counts.items() if len(found) != 1} == {}
    assert len(broken) > 600


def test_invalid_forms_differ_from_the_canonical_one_in_the_named_field(
    portkey: Contract, corpus: Corpus
) -> None:
    """The note of an invalid form names a field that is missing or not an allowed value."""
    notes = [
        case.note for case in corpus.cases("createFile") if case.purpose is Purpose.INVALID and case.note
    ]
    assert notes
    assert all(re.search(r"purpose|file|body|JSON", note) for note in notes)


def test_every_invalid_case_says_what_is_wrong_with_it(portkey: Contract, corpus: Corpus) -> None:
    """A finding without the defect's place cannot be understood."""
    silent = [
        case.id
        for case in everything(portkey, corpus)
        if case.purpose is Purpose.INVALID
        and not re.match(r"(body|query|header|path|field|missing|JSON|content)", case.note)
    ]
    assert silent == []


def test_ids_are_unique(portkey: Contract, corpus: Corpus) -> None:
    """Two cases of one id would be confused in the evidence."""
    ids = [case.id for case in everything(portkey, corpus)]
    assert len(ids) == len(set(ids))


def test_no_two_cases_of_an_operation_are_the_same_request(portkey: Contract, corpus: Corpus) -> None:
    """A repeated request adds time and no evidence."""
    for operation in portkey.operations:
        prints = [
            json.dumps([case.path, case.query, case.headers, case.body, case.media_type], sort_keys=True)
            for case in corpus.cases(operation.id)
            if case.purpose is not Purpose.EXAMPLE
        ]
        assert len(prints) == len(set(prints)), operation.id


def test_no_case_carries_a_security_header(portkey: Contract, corpus: Corpus) -> None:
    """Credentials and routing come from the target file; a drawn one would break every request."""
    names = {name.lower() for case in everything(portkey, corpus) for name, _ in case.headers}
    assert names == {"openai-beta"}


def test_valid_cases_hold_no_text_that_transports_refuse(portkey: Contract, corpus: Corpus) -> None:
    """NUL and lone surrogates are refused before the gateway sees them."""
    for case in everything(portkey, corpus):
        text = json.dumps([case.query, case.body], ensure_ascii=False)
        text.encode()
        assert "\\u0000" not in text, case.id


def literal_ids(value: Any, name: str = "") -> Iterator[str]:
    if is_symbol(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from literal_ids(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from literal_ids(inner, name)
    elif isinstance(value, str) and re.search(r"(_id|_ids|Id)$", name):
        yield f"{name}={value}"


def test_valid_requests_name_no_resource_that_was_made_up(
    portkey: Contract, portkey_graph: Graph, corpus: Corpus
) -> None:
    """An id in a valid request is a symbol, or what the resource graph wrote: a drawn one names nothing."""
    for case in everything(portkey, corpus):
        if case.purpose is Purpose.VALID:
            written = canonical_case(portkey, portkey_graph, case.operation)
            known = set(literal_ids([written.body, dict(written.query)]))
            parts = case.body if isinstance(case.body, list) else []
            fields = {part["name"]: part.get("value") for part in parts}
            assert set(literal_ids([case.body, dict(case.query), fields])) <= known, case.id


def test_paths_are_filled_with_symbols_or_choices(portkey: Contract, corpus: Corpus) -> None:
    """An empty value or one with a slash would reach another operation."""
    for case in everything(portkey, corpus):
        wanted = set(re.findall(r"{([^}]+)}", portkey.operation(case.operation).path))
        assert set(case.path) == wanted, case.id
        for value in case.path.values():
            assert is_symbol(value) or (isinstance(value, str) and value and "/" not in value), case.id


def test_models_are_asked_for_by_role(portkey: Contract, corpus: Corpus) -> None:
    """A literal model would not exist on most targets."""
    for case in everything(portkey, corpus):
        if case.purpose is Purpose.VALID and isinstance(case.body, dict) and "model" in case.body:
            assert is_symbol(case.body["model"]), case.id


def test_an_operation_without_cases_says_why(portkey: Contract, corpus: Corpus) -> None:
    """Nothing is left out silently."""
    for operation in portkey.operations:
        purposes = {case.purpose for case in corpus.cases(operation.id)}
        for purpose in (Purpose.VALID, Purpose.INVALID, Purpose.EXAMPLE):
            assert bool(corpus.gap(operation.id, purpose)) == (purpose not in purposes), operation.id


def test_a_gap_in_valid_cases_is_never_a_failure_of_ours(portkey: Contract, corpus: Corpus) -> None:
    """Where requests can vary, the narrowing rules leave something to draw."""
    refused = [
        operation.id
        for operation in portkey.operations
        if re.search("refuses|failed", corpus.gap(operation.id, Purpose.VALID))
    ]
    assert refused == []


def test_examples_of_the_contract_are_used_with_their_ids_rebound(portkey: Contract, corpus: Corpus) -> None:
    """At least a few dozen examples are sent, and what is skipped is skipped for a stated reason."""
    used = [case for case in everything(portkey, corpus) if case.purpose is Purpose.EXAMPLE]
    assert len(used) >= 40
    assert all(why for operation in portkey.operations for _, why in corpus.skipped(operation.id))
    run = next(case for case in used if case.operation == "createRun")
    assert any("$bind" in symbol for symbol in symbols(run.body))


def test_unknown_names_are_refused(portkey: Contract, portkey_graph: Graph, corpus: Corpus) -> None:
    """A misspelt operation or effort is an error, not an empty corpus."""
    with pytest.raises(UnknownNameError):
        corpus.cases("createRnu")
    with pytest.raises(UsageError):
        Corpus(portkey, portkey_graph, effort="thorough")


def test_efforts_search_harder_and_harder() -> None:
    """Each effort asks at least as much as the one before."""
    smoke, standard, deep = (EFFORTS[name] for name in ("smoke", "standard", "deep"))
    for less, more in ((smoke, standard), (standard, deep)):
        assert less.valid < more.valid
        assert less.invalid < more.invalid
        assert less.shrink_steps < more.shrink_steps


def test_another_seed_gives_other_cases(
    portkey: Contract, portkey_graph: Graph, corpus: Corpus, tmp_path: Path
) -> None:
    """The seed reaches the generator."""
    other = Corpus(portkey, portkey_graph, seed=2, effort=corpus.effort, cache_dir=tmp_path)
    assert other.cases("createRun") != corpus.cases("createRun")


SCRIPT = """
import sys
from conformance.contract import load_contract
from conformance.contract.resources import load_graph
from conformance.generation.corpus import Corpus
contract = load_contract("portkey")
corpus = Corpus(contract, load_graph(contract), seed=7, effort="smoke", cache_dir=sys.argv[1])
for name in sys.argv[3:]:
    assert corpus.cases(name)
if sys.argv[2] == "warm":
    heavy = {"schemathesis", "hypothesis"} & set(sys.modules)
    assert not heavy, heavy
"""


def in_process(cache: Path, mode: str, names: tuple[str, ...], hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    environment["GATEWAY_CONFORMANCE_CACHE"] = str(cache.parent / "home")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(cache), mode, *names],
        env=environment,
        cwd=cache.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def contents(cache: Path) -> dict[str, str]:
    files = (cache / "corpus").rglob("*.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_processes_draw_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    """A corpus depends on its key alone: not on hash randomisation, order, or what else was drawn."""
    in_process(tmp_path / "a", "cold", OPERATIONS, "1")
    in_process(tmp_path / "b", "cold", OPERATIONS[::-1], "4242")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == len(OPERATIONS)
    assert not (tmp_path / ".hypothesis").exists()


def test_a_test_process_draws_what_a_plain_process_draws(
    portkey: Contract, portkey_graph: Graph, tmp_path: Path
) -> None:
    """What else is imported (here: the tests) does not leak into the drawn values."""
    in_process(tmp_path / "plain", "cold", ("createRun",), "0")
    Corpus(portkey, portkey_graph, seed=7, effort="smoke", cache_dir=tmp_path / "here").cases("createRun")
    assert contents(tmp_path / "plain") == contents(tmp_path / "here")


def test_a_warm_cache_needs_no_generator(tmp_path: Path) -> None:
    """Replaying must not pay for importing Schemathesis."""
    in_process(tmp_path / "c", "cold", OPERATIONS[:2], "0")
    in_process(tmp_path / "c", "warm", OPERATIONS[:2], "0")


@pytest.mark.parametrize(
    "rubbish", [b"", b"{", b"[]", b'{"format":1,"cases":[{"id":1}]}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_cache_file_is_drawn_again(
    portkey: Contract, portkey_graph: Graph, tmp_path: Path, rubbish: bytes
) -> None:
    """A half-written or foreign file is neither trusted nor fatal."""
    first = Corpus(portkey, portkey_graph, effort="smoke", cache_dir=tmp_path).cases("listLabels")
    (path,) = (tmp_path / "corpus").rglob("listLabels-*.json")
    before = path.read_bytes()
    path.write_bytes(rubbish)
    again = Corpus(portkey, portkey_graph, effort="smoke", cache_dir=tmp_path).cases("listLabels")
    assert again == first
    assert path.read_bytes() == before


def test_a_cache_that_cannot_be_written_is_not_missed(
    portkey: Contract, portkey_graph: Graph, tmp_path: Path
) -> None:
    """A full or read-only disk costs time only."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    corpus = Corpus(portkey, portkey_graph, effort="smoke", cache_dir=blocked)
    assert corpus.cases("listLabels")


def test_another_request_template_is_another_corpus(
    portkey: Contract, portkey_graph: Graph, tmp_path: Path
) -> None:
    """A change in the resource graph must not replay cases with stale ids."""
    Corpus(portkey, portkey_graph, effort="smoke", cache_dir=tmp_path).cases("listLabels")
    bare = Graph({}, {}, {})
    Corpus(portkey, bare, effort="smoke", cache_dir=tmp_path).cases("listLabels")
    assert len(contents(tmp_path)) == 2


def test_shrinking_keeps_the_purpose(portkey: Contract, corpus: Corpus) -> None:
    """A valid case may not become invalid on the way to a smaller one, nor the reverse."""
    valid = next(case for case in corpus.cases("createRun") if case.purpose is Purpose.VALID)
    invalid = next(case for case in corpus.cases("createRun") if case.purpose is Purpose.INVALID)
    assert corpus.keeps_purpose(valid)
    assert corpus.keeps_purpose(invalid)
    assert not corpus.keeps_purpose(replace(valid, body={"assistant_id": 7}))
    assert not corpus.keeps_purpose(replace(valid, purpose=Purpose.INVALID))
