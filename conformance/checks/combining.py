"""Checks made of other checks, over part of the exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.checks.registry import Context, Ruling, get_check, sequence
from conformance.model import Exchange


def combine(name: str, *parts: str) -> None:
    """Register ``name``: whatever the checks ``parts`` say, deletions left out.

    The confirmation of a delete may bear the ``object`` of what it deleted, but is none of its sights.
    """

    def judge(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        kept = [one for one in exchanges if one.request.method != "DELETE"]
        for part in parts:
            yield from get_check(part)(kept, context)

    sequence(name)(judge)


def life(name: str, machine: str, *, known: bool = True) -> None:
    """Register ``name``: the whole life of a machine, its statuses, its steps and its end."""
    aspects = ("known", "follows", "absorbs") if known else ("follows", "absorbs")
    combine(name, *(f"lifecycle.{machine}.{aspect}" for aspect in aspects))
