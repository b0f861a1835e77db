"""What the importer must refuse, and what it must keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.contract.importer import (
    MAX_BYTES,
    MAX_DEPTH,
    dump,
    import_file,
    import_text,
    operations_of,
    parse,
)
from conformance.errors import ImportRefusedError

HEAD = "openapi: 3.0.3\ninfo: {title: T, version: '1'}\n"


def document(**extra: Any) -> dict[str, Any]:
    operation = {"operationId": "one", "responses": {"200": {"description": "prose"}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1", "description": "prose"},
        "paths": {"/a": {"get": operation}},
        **extra,
    }


def stripped(value: dict[str, Any]) -> dict[str, Any]:
    return import_text(json.dumps(value), source="test.json")


REFUSED = {
    "swagger": ("swagger: '2.0'\ninfo: {}\npaths: {}\n", "not an OpenAPI 3.x document"),
    "list": ("- a\n- b\n", "not an OpenAPI 3.x document"),
    "empty": ("", "is empty"),
    "no-paths": (HEAD, "describes no paths"),
    "no-operations": (HEAD + "paths: {/a: {}}\n", "describes no operations"),
    "bad-yaml": (HEAD + "paths: {\n", "bad YAML"),
    "tab": ("openapi: 3.0.3\n\tinfo: {}\n", "bad YAML at line 2"),
    "twice": (HEAD + "paths: {/a: {get: {}}, /a: {get: {}}}\n", "stands twice"),
    "twice-json": ('{"openapi": "3.0.3", "openapi": "3.0.3"}', "stands twice"),
    "self-alias": (HEAD + "paths: &p {/a: *p}\n", "contains itself"),
    "object-tag": (HEAD + "paths: !!python/object/apply:os.system [ls]\n", "bad YAML"),
    "deep": ("[" * 100_000 + "]" * 100_000, "nested deeper"),
    "deep-json": ('{"a":' * 5_000 + "1" + "}" * 5_000, "nested deeper"),
    "remote": (
        HEAD + "paths: {/a: {get: {responses: {'200': {$ref: 'https://evil.test/x.yaml#/a'}}}}}\n",
        "refers to another document",
    ),
    "file": (
        HEAD + "paths: {/a: {get: {responses: {'200': {$ref: '../../etc/passwd'}}}}}\n",
        "another document",
    ),
    "dangling": (HEAD + "paths: {/a: {get: {responses: {'200': {$ref: '#/x'}}}}}\n", "refers to nothing"),
    "same-id": (
        HEAD + "paths: {/a: {get: {operationId: x}, put: {operationId: x}}}\n",
        "'x' stands on 2 operations",
    ),
    "list-of-responses": (
        HEAD + "paths: {/a: {get: {responses: [1]}}}\n",
        "/paths/~1a/get/responses: not the kind",
    ),
    "text-schema": (
        HEAD + "paths: {/a: {get: {}}}\ncomponents: {schemas: {A: {items: x}}}\n",
        "A/items: not the kind",
    ),
    "null-parameter": (HEAD + "paths: {/a: {get: {parameters: [null]}}}\n", "parameters/0: not the kind"),
    "numbered-id": (HEAD + "paths: {/a: {get: {operationId: 1}}}\n", "operationId: not the kind"),
    "page": ("# A page\n\n```yaml\nname: no contract\n```\n", "embeds no OpenAPI block"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_contract_is_refused_in_one_line(name: str) -> None:
    """Each of these must be refused by ImportRefusedError that says why, in one line."""
    text, why = REFUSED[name]
    with pytest.raises(ImportRefusedError, match=why) as caught:
        import_text(text, source="bad.yaml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("bad.yaml: ")


def test_an_alias_bomb_is_refused_before_it_is_written_out() -> None:
    """Ten levels of ten aliases are 10^10 nodes: must be refused by counting, not by running."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    with pytest.raises(ImportRefusedError, match="aliases expand"):
        import_text(HEAD + "\n".join(lines) + "\npaths: {/a: {get: {}}}\n", source="bomb.yaml")


def test_a_bomb_of_merge_keys_is_refused() -> None:
    """`<<` multiplies as aliases do; it must be counted before anything is merged."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 11)]
    with pytest.raises(ImportRefusedError, match="aliases expand"):
        import_text(HEAD + "\n".join(lines) + "\npaths: {/a: {get: {}}}\n", source="bomb.yaml")


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    """A file above 8 MiB must be refused by its size, unread."""
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(ImportRefusedError, match=str(MAX_BYTES)):
        import_file(path)


def test_a_missing_and_a_binary_file_are_refused(tmp_path: Path) -> None:
    """What cannot be read as text must be refused with its name, not with a traceback."""
    with pytest.raises(ImportRefusedError, match=r"none\.yaml: cannot be read"):
        import_file(tmp_path / "none.yaml")
    (tmp_path / "wav.yaml").write_bytes(b"\xff\xfeRIFF")
    with pytest.raises(ImportRefusedError, match="not UTF-8"):
        import_file(tmp_path / "wav.yaml")


def test_nesting_within_the_limit_is_accepted() -> None:
    """The depth limit must not refuse a document that stays below it."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(MAX_DEPTH // 4):
        schema = {"items": schema}
    assert stripped(document(components={"schemas": {"A": schema}}))["components"]["schemas"]["A"] == schema


def test_prose_goes_by_position_and_names_stay() -> None:
    """A property called description, summary or x-… must stay; the keyword must go."""
    schema = {
        "type": "object",
        "title": "prose",
        "description": "prose",
        "x-vendor": 1,
        "externalDocs": {"url": "https://x.test"},
        "properties": {
            "description": {"type": "string", "description": "prose"},
            "summary": {"type": "string"},
            "x-header": {"type": "string", "x-vendor": True},
            "title": {
                "description": "prose",
                "properties": {"example": {"title": "prose", "type": "string"}},
            },
        },
        "required": ["description", "x-header"],
    }
    kept = stripped(document(components={"schemas": {"description": schema, "x-name": {"type": "string"}}}))
    assert kept["components"]["schemas"] == {
        "description": {
            "type": "object",
            "properties": {
                "description": {"type": "string"},
                "summary": {"type": "string"},
                "x-header": {"type": "string"},
                "title": {"properties": {"example": {"type": "string"}}},
            },
            "required": ["description", "x-header"],
        },
        "x-name": {"type": "string"},
    }
    assert kept["info"] == {"title": "T", "version": "1"}


def test_data_is_left_alone() -> None:
    """Whatever stands under example, examples, default, enum or const is a value and must not be stripped."""
    value = {"description": "d", "summary": "s", "x-a": 1, "title": "t", "$ref": "http://not.a.ref/"}
    schema = {"example": value, "default": value, "enum": [value], "const": value}
    media = {
        "schema": schema,
        "examples": {"summary": {"summary": "prose", "value": value}},
        "example": value,
    }
    operation = {"responses": {"200": {"description": "prose", "content": {"application/json": media}}}}
    kept = stripped(document(paths={"/a": {"get": operation}}))
    assert kept["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"] == {
        "schema": schema,
        "examples": {"summary": {"value": value}},
        "example": value,
    }


def test_a_response_keeps_a_description_that_is_no_prose() -> None:
    """OpenAPI demands a description of a response: it must be the phrase of the status, or empty."""
    responses = {
        "200": {"description": "prose"},
        "4XX": {"description": "prose"},
        "default": {"description": "prose"},
    }
    kept = stripped(document(paths={"/a": {"get": {"responses": responses}}}))["paths"]["/a"]["get"][
        "responses"
    ]
    assert {status: one["description"] for status, one in kept.items()} == {
        "200": "OK",
        "4XX": "",
        "default": "",
    }


def test_dates_stay_text() -> None:
    """An unquoted date, `no` and a sexagesimal number must stay the strings they are in JSON."""
    text = "a: 2024-07-30T13:27:29.000Z\nb: 2024-07-30\nc: no\nd: 12:30:45\n"
    text += "e: 0x1F\nf: 1e3\ng: true\nh: ~\ni: 007\n"
    assert parse(text, source="t") == {
        "a": "2024-07-30T13:27:29.000Z",
        "b": "2024-07-30",
        "c": "no",
        "d": "12:30:45",
        "e": 31,
        "f": 1000.0,
        "g": True,
        "h": None,
        "i": "007",
    }


def test_aliases_share_no_node() -> None:
    """Two uses of an anchor must become two values: changing one may not change the other."""
    value = parse("a: &a {x: 1}\nb: *a\n", source="t")
    value["a"]["x"] = 2
    assert value["b"] == {"x": 1}


def test_a_page_gives_its_embedded_document() -> None:
    """Of a documentation page, the one OpenAPI block must be taken and the rest ignored."""
    page = (
        "# Title\n\nopenapi prose\n\n```json\n{}\n```\n\n````yaml api.yaml post /a\n"
        + dump(document())
        + "````\ntail\n"
    )
    assert import_text(page, source="page.md") == stripped(document())


def test_the_dump_reads_back_as_it_was() -> None:
    """Writing and reading must lose nothing: strings that look like numbers, dates or null included."""
    value = {
        "a": "2.0",
        "b": "2024-01-01",
        "c": "null",
        "d": "yes",
        "e": "0x10",
        "f": "é\n x",
        "g": ["1e3", None, 1.5],
    }
    assert parse(dump(value), source="t") == value


def test_import_is_idempotent() -> None:
    """What was imported must import again unchanged."""
    once = stripped(document(tags=[{"name": "A", "description": "prose"}]))
    assert import_text(dump(once), source="t") == once
    assert [method for method, *_ in operations_of(once)] == ["get"]
