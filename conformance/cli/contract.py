"""``conformance contract``: import, compile, lint and show contracts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from conformance.contract.loader import STRICTNESSES, Contract, load_contract, specs_root, write_compiled
from conformance.errors import UnknownNameError, UsageError
from conformance.model import Operation

_specs_dir = click.option(
    "--specs-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of contracts, one subfolder each. Default: those shipped with the suite.",
)
_strictness = click.option(
    "--strictness",
    type=click.Choice(STRICTNESSES),
    default="strict",
    show_default=True,
    help="Which errata apply.",
)
_SHOWN = 5


@click.group("contract")
def contract() -> None:
    """The spec side: import, compile, lint and show contracts."""


@contract.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", required=True, help="Name of the contract: lower case letters, digits, . _ -")
@_specs_dir
def import_(file: Path, name: str, specs_dir: Path | None) -> None:
    """Strip FILE (OpenAPI 3.x, or a page that embeds it) into specs/NAME/openapi.yaml."""
    from conformance.contract.importer import dump, import_file, operations_of

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise UsageError(f"--name {name!r}", hint="lower case letters, digits, . _ -, at most 64")
    document = import_file(file)
    with _writing():
        if specs_dir is not None:
            specs_dir.mkdir(parents=True, exist_ok=True)
        folder = specs_root(specs_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "openapi.yaml"
        path.write_text(dump(document), encoding="utf-8", newline="\n")
        settings = folder / "contract.toml"
        if not settings.exists():
            settings.write_text('[planes]\ndefault = "data"\n', encoding="utf-8")
    count = sum(1 for _ in operations_of(document))
    schemas = len((document.get("components") or {}).get("schemas") or {})
    click.echo(f"{path}: {count} operations, {len(document['paths'])} paths, {schemas} schemas")
    if (folder / "compiled").is_dir():
        click.echo(f"next: conformance contract compile {name}")


@contract.command("compile")
@click.argument("name")
@_specs_dir
def compile_(name: str, specs_dir: Path | None) -> None:
    """Apply the errata of NAME and write specs/NAME/compiled."""
    with _writing():
        written = write_compiled(name, specs_dir=specs_dir)
    for path in written:
        click.echo(f"{path}: {path.stat().st_size} bytes")


@contract.command("lint")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print every remark as JSON.")
@click.option("--all", "everything", is_flag=True, help=f"Print every remark, not only {_SHOWN} of a kind.")
@_strictness
@_specs_dir
def lint_(name: str, as_json: bool, everything: bool, strictness: str, specs_dir: Path | None) -> None:
    """Print what is still wrong with NAME after its errata, by kind with counts."""
    from conformance.contract.lint import KINDS, by_kind, lint

    loaded = load_contract(name, specs_dir=specs_dir, strictness=strictness)
    groups = by_kind(lint(loaded))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "contract": loaded.name,
                    "version": loaded.version,
                    "strictness": loaded.strictness,
                    "digest": loaded.digest,
                    "counts": {kind: len(groups.get(kind, ())) for kind in KINDS},
                    "remarks": [
                        {"kind": one.kind, "where": one.where, "detail": one.detail}
                        for remarks in groups.values()
                        for one in remarks
                    ],
                },
                indent=2,
            )
        )
        return
    console = Console()
    table = Table(
        "kind", "count", "where", "what", title=f"{_title(loaded)}: what is still wrong", title_justify="left"
    )
    for kind, remarks in groups.items():
        shown = remarks if everything else remarks[:_SHOWN]
        for position, one in enumerate(shown):
            count = str(len(remarks)) if position == 0 else ""
            table.add_row(kind if position == 0 else "", count, _plain(one.where), _plain(one.detail))
        if len(shown) < len(remarks):
            table.add_row("", "", f"… and {len(remarks) - len(shown)} more", "")
        table.add_section()
    console.print(table if groups else f"{_title(loaded)}: nothing is wrong")
    total = sum(len(remarks) for remarks in groups.values())
    console.print(
        f"{total} remarks of {len(groups)} kinds; {len(KINDS) - len(groups)} kinds are clean", highlight=False
    )


@contract.command("show")
@click.argument("name")
@click.option("--group", default=None, help="Only the operations of this endpoint group.")
@_strictness
@_specs_dir
def show(name: str, group: str | None, strictness: str, specs_dir: Path | None) -> None:
    """List the groups, planes and operations of NAME."""
    loaded = load_contract(name, specs_dir=specs_dir, strictness=strictness)
    console = Console()
    if group is not None and group not in loaded.groups:
        raise UnknownNameError("group", group, loaded.groups)
    if group is None:
        console.print(_groups(loaded))
    console.print(_operations(loaded, [one for one in loaded.operations if group in (None, one.group)]))
    planes = Counter(one.plane for one in loaded.operations)
    parts = [f"{planes[plane]} on the {plane} plane" for plane in loaded.planes]
    console.print(
        f"{len(loaded.operations)} operations in {len(loaded.groups)} groups: {', '.join(parts)}",
        f"\ndigest {loaded.digest}",
        sep="",
        highlight=False,
    )


@contract.command("requirements")
@click.argument("name")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the reference page instead of a table.")
@_strictness
@_specs_dir
def requirements_(name: str, as_markdown: bool, strictness: str, specs_dir: Path | None) -> None:
    """List what a target of NAME is judged by, and on how many operations."""
    from conformance.contract.requirement_pages import by_area, markdown, totals
    from conformance.contract.requirements import load_requirements
    from conformance.contract.resources import load_graph

    loaded = load_contract(name, specs_dir=specs_dir, strictness=strictness)
    requirements = load_requirements(loaded, load_graph(loaded))
    if as_markdown:
        click.echo(markdown(requirements), nl=False)
        return
    console = Console()
    table = Table("id", "level", "operations", "statement", title=_title(loaded), title_justify="left")
    for rows in by_area(requirements).values():
        for row in rows:
            one = row.requirement
            table.add_row(one.id, one.level.value, str(row.operations), _plain(one.statement))
        table.add_section()
    console.print(table)
    counted = totals(requirements)
    parts = [f"{count} {level.value} ({units} units)" for level, (count, units) in counted.items()]
    console.print(f"judged: {', '.join(parts)}", highlight=False)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename}: {error.strerror}",
            hint="choose a folder of your own with --specs-dir",
        ) from error


def _title(loaded: Contract) -> str:
    return f"{loaded.name} {loaded.version} ({loaded.strictness})"


def _groups(loaded: Contract) -> Table:
    table = Table("group", "operations", "planes", title=_title(loaded), title_justify="left")
    for group in loaded.groups:
        members = [one for one in loaded.operations if one.group == group]
        planes = dict.fromkeys(one.plane.value for one in members)
        table.add_row(_plain(group), str(len(members)), ", ".join(planes))
    return table


def _operations(loaded: Contract, operations: list[Operation]) -> Table:
    table = Table("operation", "method", "path", "plane", "answers", "notes")
    for one in operations:
        notes = [
            word
            for word, holds in (
                ("events", one.streaming),
                ("websocket", one.websocket),
                ("no key", one.public),
            )
            if holds
        ]
        table.add_row(
            _plain(one.id),
            one.method,
            _plain(one.path),
            one.plane.value,
            " ".join(one.statuses),
            ", ".join(notes),
        )
    return table


def _plain(text: str) -> str:
    """Text of a document is no markup, and no terminal control sequence."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else "�" for char in text))
