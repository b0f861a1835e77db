"""The command line. On top of everything; nothing imports it."""

from __future__ import annotations

import sys

import click

import conformance
from conformance.cli.contract import contract
from conformance.cli.run import run
from conformance.cli.serve import serve_command
from conformance.errors import ConformanceError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(conformance.__version__, prog_name="conformance")
def cli() -> None:
    """Check an AI gateway against its contract.

    Exit codes: 0 conformant · 1 some MUST fails · 2 wrong use or configuration ·
    3 could not be judged · 4 the suite itself broke.
    """


cli.add_command(run)
cli.add_command(contract)
cli.add_command(serve_command)


def main() -> None:
    """Entry point of the console script."""
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(3)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ConformanceError as error:
        click.echo(f"conformance: {error}", err=True)
        sys.exit(error.exit_code)
