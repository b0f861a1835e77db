"""Single defects: each breaks one thing, and says which."""

from __future__ import annotations

import json
import random

import pytest

from conformance.contract import Contract
from conformance.contract.graph import Graph
from conformance.generation.canonical import canonical_case
from conformance.generation.defects import Defect, choose, defects, from_drawn
from conformance.generation.inlining import request_shape
from conformance.model import Case


def found(portkey: Contract, graph: Graph, operation: str) -> dict[str, Case]:
    shape = request_shape(portkey.document, operation, portkey.definition(operation))
    return {one.note: one.case for one in defects(canonical_case(portkey, graph, operation), shape)}


def test_a_missing_required_field_is_a_defect(portkey: Contract, portkey_graph: Graph) -> None:
    """The field is gone, everything else stays."""
    notes = found(portkey, portkey_graph, "createRun")
    whole = canonical_case(portkey, portkey_graph, "createRun").body
    broken = notes["body.assistant_id: missing though required"].body
    assert broken == {name: value for name, value in whole.items() if name != "assistant_id"}
    assert broken != whole


def test_a_header_that_must_be_there_is_a_defect_when_missing(
    portkey: Contract, portkey_graph: Graph
) -> None:
    """Required headers count like required fields."""
    notes = found(portkey, portkey_graph, "listAssistants")
    assert notes["missing required header OpenAI-Beta"].headers == ()


def test_bounds_are_left_by_one(portkey: Contract, portkey_graph: Graph) -> None:
    """Just outside is where servers err."""
    notes = found(portkey, portkey_graph, "listAssistants")
    assert ("limit", "0") in notes["query.limit=0: below minimum 1"].query
    assert ("limit", "101") in notes["query.limit=101: above maximum 100"].query


def test_a_query_of_strings_has_no_wrong_type(portkey: Contract, portkey_graph: Graph) -> None:
    """Everything in a query is a string: "1" where a string is wanted is valid."""
    assert not any(note.startswith("query.purpose") for note in found(portkey, portkey_graph, "listFiles"))


def test_malformed_json_is_sent_as_it_is(portkey: Contract, portkey_graph: Graph) -> None:
    """A body that no JSON library would write."""
    case = found(portkey, portkey_graph, "createRun")["body: JSON that breaks off"]
    with pytest.raises(ValueError, match=r"JSON|delimiter|Unterminated"):
        json.loads(case.body["$raw"])


def test_forms_lose_fields_and_files(portkey: Contract, portkey_graph: Graph) -> None:
    """A form without its file is invalid."""
    case = found(portkey, portkey_graph, "createFile")["missing required field file"]
    assert [part["name"] for part in case.body] == ["purpose"]


def test_a_choice_mixes_kinds() -> None:
    """Five cases of fifty type errors and one missing field include the missing field."""
    case = Case(id="", operation="x", purpose="invalid")  # type: ignore[arg-type]
    many = [Defect("type", str(index), case) for index in range(50)] + [Defect("missing", "m", case)]
    chosen = choose(many, 5, random.Random(3))
    assert len(chosen) == 5
    assert "missing" in {one.kind for one in chosen}
    assert chosen == choose(many, 5, random.Random(3))


def test_drawn_values_move_one_at_a_time_into_the_canonical_request(
    portkey: Contract, portkey_graph: Graph
) -> None:
    """An odd envelope with two odd values gives two cases of one defect each."""
    shape = request_shape(portkey.document, "createRun", portkey.definition("createRun"))
    canonical = canonical_case(portkey, portkey_graph, "createRun")
    odd = {"body": {"temperature": "hot", "model": 7}}
    bodies = [one.case.body for one in from_drawn(canonical, odd, shape)]
    assert bodies == [{**canonical.body, "temperature": "hot"}, {**canonical.body, "model": 7}]


def test_drawn_values_that_no_json_holds_are_left_out(portkey: Contract, portkey_graph: Graph) -> None:
    """Not-a-number and lone surrogates never reach the corpus."""
    shape = request_shape(portkey.document, "createRun", portkey.definition("createRun"))
    canonical = canonical_case(portkey, portkey_graph, "createRun")
    for value in (float("nan"), "\ud800", {"$bind": "thread"}):
        assert list(from_drawn(canonical, {"body": {"model": value}}, shape)) == []
