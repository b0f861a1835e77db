"""``conformance serve``: the reference gateway alone."""

from __future__ import annotations

from pathlib import Path

import click

from conformance.reference import behaviours
from conformance.reference.faults import FAULTS
from conformance.reference.server import Options, UnknownFaultError, announce, serve


def _describe(announcement: dict[str, object]) -> None:
    """What a person needs to talk to the gateway."""
    urls, credentials = announcement["base_urls"], announcement["credentials"]
    assert isinstance(urls, dict)
    assert isinstance(credentials, dict)
    click.echo(f"reference gateway at {urls['data']} (pricing at {urls['public']})")
    for name, headers in credentials.items():
        for header, value in headers.items():
            click.echo(f"  {name:8} {header}: {value}")
    click.echo("press Ctrl-C to stop")


def _list_faults(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        behaviours.load()
        for name, description in sorted(FAULTS.items()):
            click.echo(f"{name:36} {description}")
        context.exit()


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[@OPERATION]",
    help="Show this deviation; may be repeated.",
)
@click.option(
    "--list-faults",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_faults,
    help="Print every fault and end.",
)
@click.option("--latency", default=0.0, type=click.FloatRange(0, 60), help="Seconds added to every answer.")
@click.option(
    "--speed",
    default=1.0,
    type=click.FloatRange(0),
    help="Stretches timed work: 2 is twice as slow, 0 immediate.",
)
@click.option("--seed", type=int, default=None, help="Fix the keys.")
@click.option(
    "--contract", type=click.Path(dir_okay=False, path_type=Path), default=None, help="A compiled contract."
)
@click.option(
    "--announce", "announced", is_flag=True, help="Print one JSON line when ready, and nothing else."
)
@click.option("--die-with-parent", is_flag=True, help="End when standard input ends.")
def serve_command(
    host: str,
    port: int,
    faults: tuple[str, ...],
    latency: float,
    speed: float,
    seed: int | None,
    contract: Path | None,
    announced: bool,
    die_with_parent: bool,
) -> None:
    """Serve the reference gateway until stopped: conformant, unless told to show a fault."""
    options = Options(
        host=host,
        port=port,
        faults=faults,
        latency=latency,
        speed=speed,
        seed=seed,
        contract=contract,
    )
    try:
        serve(options, die_with_parent=die_with_parent, ready=announce if announced else _describe)
    except UnknownFaultError as reason:
        raise click.UsageError(str(reason)) from None
    except OSError as reason:
        raise click.ClickException(f"cannot serve on {host}:{port}: {reason.strerror or reason}") from None
