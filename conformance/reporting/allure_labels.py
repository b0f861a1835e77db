"""Which Allure labels an item carries. Pure: the pytest plugin applies them, allure-pytest writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.model import Level, Operation, Requirement

_SEVERITY = {Level.MUST: "critical", Level.SHOULD: "normal", Level.MAY: "minor"}


@dataclass(frozen=True, slots=True)
class AllureLabels:
    """Labels of one item. ``links`` are (name, url) of requirements; url is empty without a pattern.

    ``full_name`` is what Allure's history id should derive from: it is the same in every execution and
    different for every item, unlike a name that carries a seed or a worker.
    """

    epic: str
    feature: str
    story: str
    severity: str
    title: str
    tags: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    full_name: str
    history_id: str


def labels(
    contract: str,
    operation: Operation,
    concern: str,
    requirements: Iterable[Requirement] = (),
    *,
    link_pattern: str = "",
) -> AllureLabels:
    """Labels for the item of ``concern`` on ``operation``, which judges ``requirements``.

    epic = contract, feature = endpoint group, story = operation, severity by the highest level judged.
    ``link_pattern`` holds ``{}`` where a requirement id goes.
    """
    judged = tuple(requirements)
    levels = {one.level for one in judged}
    highest = next((level for level in Level if level in levels), Level.MUST)
    full_name = f"{contract}:{operation.id}:{concern}"
    return AllureLabels(
        epic=contract,
        feature=operation.group,
        story=operation.id,
        severity=_SEVERITY[highest],
        title=f"{operation.id} · {concern}",
        tags=(concern, str(operation.plane), str(highest)),
        links=tuple((one.id, link_pattern.replace("{}", one.id)) for one in judged),
        full_name=full_name,
        history_id=hashlib.sha256(full_name.encode()).hexdigest()[:32],
    )
