"""Unknown ids, refused credentials, undocumented methods."""

from __future__ import annotations

from conformance.contract import Contract
from conformance.contract.graph import Graph
from conformance.generation.canonical import canonical_case
from conformance.generation.dummies import dummy
from conformance.generation.serialise import fill_path
from conformance.generation.variants import credential_cases, method_cases, unknown_id_cases
from conformance.model import Credential, Purpose


def test_one_case_for_each_id_in_the_path(portkey: Contract, portkey_graph: Graph) -> None:
    """Only the named id is unknown; its parents are real."""
    case = canonical_case(portkey, portkey_graph, "getRunStep")
    cases = unknown_id_cases(case, portkey_graph.usage("getRunStep"))
    assert [one.note for one in cases] == ["thread_id", "run_id", "step_id"]
    last = cases[-1]
    assert last.purpose is Purpose.UNKNOWN_ID
    assert last.path["step_id"] == {"$unknown": "step_"}
    assert last.path["thread_id"] == case.path["thread_id"]


def test_an_operation_without_ids_has_no_unknown_id(portkey: Contract, portkey_graph: Graph) -> None:
    """There is nothing to be unknown."""
    case = canonical_case(portkey, portkey_graph, "listAssistants")
    assert unknown_id_cases(case, portkey_graph.usage("listAssistants")) == ()


def test_credentials_that_must_be_refused(portkey: Contract, portkey_graph: Graph) -> None:
    """The same request, asked without a key and with a dead one."""
    case = canonical_case(portkey, portkey_graph, "createRun")
    absent, revoked = credential_cases(case)
    assert (absent.credential, revoked.credential) == (Credential.ABSENT, Credential.REVOKED)
    assert absent.body == case.body
    assert absent.id != revoked.id
    assert credential_cases(case, public=True) == ()


def test_no_undocumented_method_is_served_by_any_path(portkey: Contract, portkey_graph: Graph) -> None:
    """A literal path may fit the template of its sibling: DELETE /prompts/partials is not undocumented."""
    for operation in portkey.operations:
        case = canonical_case(portkey, portkey_graph, operation.id)
        cases = method_cases(portkey, case, most=6)
        assert cases, operation.id
        path = fill_path(operation.path, {name: dummy(value) for name, value in case.path.items()})
        for one in cases:
            assert one.method is not None
            assert portkey.match(one.method, path) is None, one.id
            assert not one.has_body
    partials = canonical_case(portkey, portkey_graph, "listPromptPartials")
    assert "DELETE" not in {one.method for one in method_cases(portkey, partials, most=6)}


def test_only_as_many_methods_as_wanted(portkey: Contract, portkey_graph: Graph) -> None:
    """One request an operation is enough."""
    case = canonical_case(portkey, portkey_graph, "listAssistants")
    assert len(method_cases(portkey, case)) == 1
    assert len(method_cases(portkey, case, most=2)) == 2
