"""Where contracts live: beside the installed package, in the checkout, or where the user says."""

from __future__ import annotations

from pathlib import Path

from conformance.errors import UsageError


def find_specs(specs_dir: Path | str | None = None) -> Path:
    """The folder of all contracts; UsageError when the given one does not exist."""
    if specs_dir is not None:
        root = Path(specs_dir)
        if not root.is_dir():
            raise UsageError(f"--specs-dir: {root} is not a folder")
        return root
    package = Path(__file__).resolve().parent.parent
    installed = package / "specs"
    return installed if installed.is_dir() else package.parent / "specs"
