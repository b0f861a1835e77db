"""Lists read page by page: one story for each list that takes a cursor.

Each makes a few items and reads the list they are in with page sizes drawn from the seed, in both
orders, forwards and backwards, and while an item is added. A list of the whole tenant holds items of
others too, which come and go: there the walks begin at an item of ours and end when all of ours
were seen, and only what concerns ours is told to the checks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.exercise.scenarios.registry import scenario
from conformance.exercise.scenarios.story import Reply, Story
from conformance.exercise.world import Unprepared

APART_S = 1.1  # creation times are whole seconds; an order shows only between different ones
MOST = 100  # what a page may hold
MOST_PAGES = 25  # of a walk through a list that others add to
SETTLE_S = 10.0
ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})
CALLS: Mapping[str, Any] = {
    "tools": [
        {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
    ],
    "tool_choice": {"type": "function", "function": {"name": "note"}},
}


Add = Callable[[], Awaitable[str]]
Query = Mapping[str, Any]


@dataclass
class Browser:
    """Reads one list. ``known`` are our ids in the order made; ``alone``: no others come or go."""

    story: Story
    operation: str
    known: list[str]
    alone: bool = True
    path: Mapping[str, Any] | None = None
    unknown: str = ""  # prefix of an id that names nothing
    walks: int = 0
    _parameters: Mapping[str, Mapping[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        definition = self.story.plan.contract.definition(self.operation)
        self._parameters = {
            one["name"]: one["schema"] for one in definition["parameters"] if one["in"] == "query"
        }
        plan = self.story.plan
        self.draw = random.Random(f"{plan.seed} {self.operation} pages")  # noqa: S311
        resource = plan.usage(self.operation).resource
        self.unknown = self.unknown or plan.graph.resource(resource).prefix

    @property
    def has_order(self) -> bool:
        return "order" in self._parameters

    async def page(self, query: Query | None = None, *, about: str = "", **told: Any) -> Reply:
        """One page; ``told`` is what the checks are told beside what is known of the whole list."""
        facts = {"known": list(self.known), "alone": self.alone, **told}
        return await self.story.send(
            self.operation, path=self.path, query=query or {}, about=about, facts={"list": facts}
        )

    async def walk(self, size: int, expects: list[str], start: Query, *, add: Add | None = None) -> list[str]:
        """Read on until an empty page, or until all expected were seen where others add; our ids as seen."""
        self.walks += 1
        name = f"{self.walks}: {start.get('order', 'as it comes')} by {size}"
        query: dict[str, Any] = {"limit": size, **start}
        ours: list[str] = []
        most = len(expects) // size + 3 + (0 if self.alone else MOST_PAGES)
        for number in range(most):
            reply = await self.page(query, walk=name, expects=expects)
            ids = ids_of(reply)
            ours += [one for one in ids if one in self.known]
            if not ids and reply.ok:
                break
            if number and not self.alone and set(expects) <= set(ours):
                break
            if reply.ok:
                query["after"] = ids[-1]
            elif self.alone or not ours or query.get("after") == ours[-1]:
                break
            else:
                query["after"] = ours[-1]  # the cursor was another's, and is gone
            if number == 0 and add is not None:
                self.known.append(await add())
        return ours

    async def survey(self) -> list[str]:
        """Our ids in the order in which the list shows them by itself; Unprepared if it never shows all."""
        clock = asyncio.get_running_loop().time
        until, pause = clock() + SETTLE_S, 0.05
        while True:
            first = ids_of(await self.page({"limit": MOST, **self._newest()}))
            ours = [one for one in first if one in self.known]
            if set(self.known) <= set(ours) or clock() > until:
                break
            if not self.alone and len(first) == MOST:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)
        walked = await self.walk(MOST, list(self.known), self._newest())
        if not set(self.known) <= set(walked):
            raise Unprepared(f"{self.operation} did not show all of {len(self.known)} items just made")
        return list(dict.fromkeys(walked))

    def _newest(self) -> dict[str, str]:
        return {"order": "desc"} if self.has_order else {}

    async def browse(self, add: Add | None = None) -> None:
        """Everything that can be asked of the list."""
        shown = ids_of(await self.page())
        await self.refused()
        if not self.known:
            if shown:
                await self.page({"after": shown[-1]})
            return
        listing = await self.survey()
        await self.page({"limit": 1, **self._newest()})
        start = self._newest() if self.alone else {**self._newest(), "after": listing[0]}
        behind = listing if self.alone else listing[1:]
        await self.walk(self._size(listing), behind, start)
        if self.has_order:
            # Ties aside, the first made is the first shown: in a crowd, the walk begins behind it.
            rising = listing[::-1] if self.alone else self.known[1:]
            first_made = {"order": "asc"} if self.alone else {"order": "asc", "after": self.known[0]}
            await self.page({"limit": MOST, **first_made})
            await self.walk(self._size(listing), rising, first_made)
        if "before" in self._parameters and len(listing) > 1:
            cursor = listing[self.draw.randrange(1, len(listing))]
            for limit in (MOST, 1):
                await self.page({"before": cursor, "limit": limit, **self._newest()}, listing=listing)
        if add is not None:
            await self.walk(1, behind, start, add=add)

    def _size(self, listing: list[str]) -> int:
        return self.draw.randint(1, len(listing))

    async def refused(self) -> None:
        """What no page answers: limits out of bounds, cursors that name nothing."""
        if "maximum" in self._parameters["limit"]:
            for limit in (0, int(self._parameters["limit"]["maximum"]) + 1):
                await self.page({"limit": limit}, about="PAG-07")
        await self.page({"after": {"$unknown": self.unknown}}, about="PAG-09")

    async def read(self, operation: str, parameter: str) -> None:
        """Read one of our items that the list shows."""
        shown = await self.page({"limit": MOST, **self._newest()})
        ours = [one for one in ids_of(shown) if one in self.known]
        if ours:
            path = {**(self.path or {}), parameter: self.draw.choice(ours)}
            await self.story.send(operation, path=path, facts={"shown_by": shown.exchange.id})


def ids_of(reply: Reply) -> list[str]:
    """The ids of the items on a page; empty for what is no page."""
    data = reply.get("data")
    if not reply.ok or not isinstance(data, list):
        return []
    return [one["id"] for one in data if isinstance(one, Mapping) and isinstance(one.get("id"), str)]


def maker(story: Story, operation: str, **options: Any) -> Add:
    """What makes one more item; Unprepared when it is refused."""

    async def make() -> str:
        reply = await story.send(operation, **options)
        identifier = reply.get("id")
        if not reply.ok or not isinstance(identifier, str):
            raise Unprepared(f"{operation} answered {reply.status}")
        return identifier

    return make


async def several(make: Add, count: int, *, apart: bool = True) -> list[str]:
    """Ids of ``count`` new items in the order made, the first at least a second before the others."""
    made = [await make()]
    if apart:
        await asyncio.sleep(APART_S)
    return made + [await make() for _ in range(count - 1)]


@scenario("pages-of-assistants", "listAssistants", "createAssistant", "getAssistant")
async def assistants(story: Story) -> None:
    """The assistants of a tenant, ours among those of others."""
    make = maker(story, "createAssistant")
    browser = Browser(story, "listAssistants", await several(make, 4), alone=False)
    await browser.browse(make)
    await browser.read("getAssistant", "assistant_id")


@scenario("pages-of-messages", "listMessages", "createMessage", "getMessage")
async def messages(story: Story) -> None:
    """The messages of a thread of our own."""
    await story.send("createThread", body={"metadata": {"name": {"$unique": "thread"}}})
    make = maker(story, "createMessage")
    browser = Browser(story, "listMessages", await several(make, 5))
    await browser.browse(make)
    await browser.read("getMessage", "message_id")


@scenario("pages-of-runs", "listRuns", "createRun", "getRun", needs=("chat",))
async def runs(story: Story) -> None:
    """The runs of a thread, one after the other."""
    await story.make("thread")
    create = maker(story, "createRun")

    async def make() -> str:
        run = await create()
        await story.poll("getRun", lambda value: value.get("status") in ENDED, path={"run_id": run})
        return run

    browser = Browser(story, "listRuns", await several(make, 3))
    await browser.browse()
    await browser.read("getRun", "run_id")


@scenario("pages-of-run-steps", "listRunSteps", "createRun", "getRunStep", needs=("chat", "function-tools"))
async def run_steps(story: Story) -> None:
    """The steps of a run that called a function and then answered."""
    await story.make("thread")
    run = {"run_id": await maker(story, "createRun", merge=CALLS)()}
    status = "requires_action"
    reply = await story.poll("getRun", lambda value: value.get("status") in (status, *ENDED), path=run)
    if reply.get("status") == status:
        await asyncio.sleep(APART_S)
        calls = reply.get("required_action.submit_tool_outputs.tool_calls") or []
        outputs = [{"tool_call_id": one.get("id"), "output": "noted"} for one in calls]
        await story.send("submitToolOuputsToRun", path=run, body={"tool_outputs": outputs})
        # A forced function may be called again; what matters is that a second step has begun.
        await story.poll("getRun", lambda value: value.get("status") in (status, *ENDED), path=run)
    shown = ids_of(await story.send("listRunSteps", path=run, query={"limit": MOST, "order": "asc"}))
    browser = Browser(story, "listRunSteps", shown, path=run)
    await browser.browse()
    await browser.read("getRunStep", "step_id")


@scenario("pages-of-vector-stores", "listVectorStores", "createVectorStore", "getVectorStore")
async def vector_stores(story: Story) -> None:
    """The vector stores of a tenant, ours among those of others."""
    make = maker(story, "createVectorStore")
    browser = Browser(story, "listVectorStores", await several(make, 3), alone=False)
    await browser.browse(make)
    await browser.read("getVectorStore", "vector_store_id")


@scenario(
    "pages-of-vector-store-files",
    "listVectorStoreFiles",
    "createVectorStoreFile",
    "getVectorStoreFile",
    needs=("uploads",),
)
async def vector_store_files(story: Story) -> None:
    """The files of a vector store of our own."""
    await story.make("vector_store")
    upload = maker(story, "createFile", keep=False)

    async def make() -> str:
        return await maker(story, "createVectorStoreFile", merge={"file_id": await upload()})()

    browser = Browser(story, "listVectorStoreFiles", await several(make, 3))
    await browser.browse(make)
    await browser.read("getVectorStoreFile", "file_id")


@scenario(
    "pages-of-files-in-a-batch",
    "listFilesInVectorStoreBatch",
    "createVectorStoreFileBatch",
    "getVectorStoreFile",
    needs=("uploads",),
)
async def batch_files(story: Story) -> None:
    """The files that were put into a vector store together."""
    await story.make("vector_store")
    upload = maker(story, "createFile", keep=False)
    files = await several(upload, 3, apart=False)
    await maker(story, "createVectorStoreFileBatch", merge={"file_ids": files})()
    browser = Browser(story, "listFilesInVectorStoreBatch", files, unknown="file-")
    await browser.browse()
    await browser.read("getVectorStoreFile", "file_id")


@scenario("pages-of-input-items", "listInputItems", "createResponse", needs=("chat",))
async def input_items(story: Story) -> None:
    """What a response was given, in the order it was given."""
    said = [f"{word}: reply with the word ok." for word in ("One", "Two", "Three", "Four")]
    given = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        for text in said
    ]
    await maker(story, "createResponse", merge={"input": given})()
    shown = await story.send("listInputItems")
    await Browser(story, "listInputItems", ids_of(shown), unknown="msg_").browse()


@scenario("pages-of-batches", "listBatches", "createBatch", "retrieveBatch", needs=("uploads", "chat"))
async def batches(story: Story) -> None:
    """The batches of a tenant, ours among those of others."""
    await story.make("batch_file")
    browser = Browser(
        story, "listBatches", await several(maker(story, "createBatch"), 2, apart=False), alone=False
    )
    await browser.browse()
    await browser.read("retrieveBatch", "batch_id")


@scenario(
    "pages-of-fine-tuning",
    "listPaginatedFineTuningJobs",
    "createFineTuningJob",
    "retrieveFineTuningJob",
    "listFineTuningEvents",
    "listFineTuningJobCheckpoints",
    needs=("uploads", "chat"),
)
async def fine_tuning(story: Story) -> None:
    """Fine-tuning jobs, ours among those of others, and the events and checkpoints of one."""
    await story.make("finetune_file")
    make = maker(story, "createFineTuningJob")
    browser = Browser(story, "listPaginatedFineTuningJobs", await several(make, 2, apart=False), alone=False)
    await browser.browse()
    await browser.read("retrieveFineTuningJob", "fine_tuning_job_id")
    await Browser(story, "listFineTuningEvents", [], alone=False, unknown="ftevent-").browse()
    await story.send("listFineTuningEvents", query={"limit": 1})
    await Browser(story, "listFineTuningJobCheckpoints", [], unknown="ftckpt_").browse()
