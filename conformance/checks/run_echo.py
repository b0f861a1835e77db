"""What a new run says of itself: the request's overrides, else its assistant, else the defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from conformance.checks.lifecycle import same
from conformance.checks.objects import View, about, answer, asked, histories, succeeded, views
from conformance.checks.paths import after, last_before, path_values, query_of, status, to
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, check, sequence
from conformance.checks.runs import CREATES, RUN, part
from conformance.model import Exchange

INHERITED = ("model", "instructions", "tools")
DEFAULTS: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "tool_choice": "auto",
    "truncation_strategy": "auto",
    "parallel_tool_calls": True,
    "response_format": "auto",
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
}
OF_ASSISTANT = ("temperature", "top_p", "response_format")  # which may set them, too
PAIRS, KEY_LENGTH, VALUE_LENGTH = 16, 64, 512


class Birth:
    """A request that created a run: what it asked for, the run as first shown, and its assistant."""

    def __init__(self, view: View, request: Mapping[str, Any], assistant: Mapping[str, Any] | None) -> None:
        self.exchange, self.run, self.request, self.assistant = view.exchange, view.value, request, assistant

    def said(self, text: str, kind: str) -> Outcome:
        """A violation with this text; passes when it is empty."""
        return (Violation(f"run {self.run.get('id')}: {text}", kind),) if text else PASSES


def births(exchanges: Sequence[Exchange]) -> Iterator[Birth]:
    """Every run that was created, in the order of creation."""
    assistants = histories(views(exchanges, "assistant"))
    seen: set[str] = set()
    for view in views(exchanges, RUN):
        exchange = view.exchange
        request = asked(exchange)
        if exchange.operation not in CREATES or exchange.id in seen or not isinstance(request, Mapping):
            continue
        seen.add(exchange.id)
        known = last_before(assistants.get(str(request.get("assistant_id")), []), exchange)
        yield Birth(view, request, known.value if known is not None else None)


# overrides


def same_model(wanted: Any, shown: Any) -> bool:
    """The same name, as far as a provider's prefix and a date behind it go."""
    if not (isinstance(wanted, str) and isinstance(shown, str)):
        return False
    one, other = (name.rpartition("/")[2].lower() for name in (wanted, shown))
    return one == other or (bool(one) and other.startswith(f"{one}-")) or wanted == shown


def same_tools(wanted: Any, shown: Any) -> bool:
    """The same tools in any order; a server may fill in what the request leaves out."""
    if not (isinstance(wanted, list) and isinstance(shown, list)):
        return False

    def names(tools: list[Any]) -> Counter[tuple[str, str]]:
        return Counter((str(part(one, "type")), str(part(one, "function", "name"))) for one in tools)

    def parameters(tools: list[Any]) -> dict[str, Any]:
        return {str(part(one, "function", "name")): part(one, "function", "parameters") for one in tools}

    theirs = parameters(shown)
    kept = all(value is None or same(value, theirs.get(name)) for name, value in parameters(wanted).items())
    return names(wanted) == names(shown) and kept


def same_strategy(wanted: Any, shown: Any) -> bool:
    if part(wanted, "type") != part(shown, "type"):
        return False
    return part(wanted, "type") != "last_messages" or same(
        part(wanted, "last_messages"), part(shown, "last_messages")
    )


Compare = Callable[[Any, Any], bool]
OVERRIDES: Mapping[str, Compare] = {
    "model": same_model,
    "instructions": same,
    "tools": same_tools,
    "temperature": same,
    "top_p": same,
    "max_prompt_tokens": same,
    "max_completion_tokens": same,
    "truncation_strategy": same_strategy,
    "tool_choice": same,
    "response_format": same,
    "parallel_tool_calls": same,
    "metadata": same,
    "assistant_id": same,
}


def _override(name: str, equal: Compare) -> None:
    @sequence(f"run_echo.{name}")
    def over(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        for birth in births(exchanges):
            wanted, shown = birth.request.get(name), birth.run.get(name)
            if wanted is None or (name == "instructions" and birth.request.get("additional_instructions")):
                continue
            told = f"{name} is {shown!r:.80}, the request says {wanted!r:.80}"
            yield birth.exchange, birth.said("" if equal(wanted, shown) else told, name)


for _name, _equal in OVERRIDES.items():
    _override(_name, _equal)


@sequence("run_echo.additional_instructions")
def additional_instructions(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for birth in births(exchanges):
        more = birth.request.get("additional_instructions")
        if not isinstance(more, str) or not more.strip():
            continue
        shown = birth.run.get("instructions")
        base = birth.request.get("instructions") or part(birth.assistant, "instructions") or ""
        text = shown if isinstance(shown, str) else ""
        fine = text.rstrip().endswith(more.strip()) and text.lstrip().startswith(str(base).strip())
        told = f"instructions are {shown!r:.120}, expected those of the assistant followed by {more!r:.80}"
        yield birth.exchange, birth.said("" if fine else told, "additional")


# what nobody asked for


def _as_default(name: str, birth: Birth) -> str | None:
    """How a field differs from what holds when nobody sets it; None when that cannot be said."""
    shown = birth.run.get(name)
    if name in INHERITED:
        if birth.assistant is None or (
            name == "instructions" and birth.request.get("additional_instructions")
        ):
            return None
        wanted = birth.assistant.get(name)
        equal = OVERRIDES[name](wanted, shown) or (not wanted and not shown)
        return "" if equal else f"{name} is {shown!r:.80}, the assistant's is {wanted!r:.80}"
    wanted = DEFAULTS[name]
    if name in OF_ASSISTANT:
        if birth.assistant is None:
            return None
        own = birth.assistant.get(name)
        wanted = wanted if own is None else own
        if shown is None and own is None:
            return ""
    if name == "truncation_strategy":
        shown = part(shown, "type")
    return "" if same(wanted, shown) else f"{name} is {shown!r:.80}, expected {wanted!r}"


def _unset(names: Iterable[str], chosen: Callable[[Birth, str], bool]) -> Callable[..., Iterable[Ruling]]:
    def over(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
        for birth in births(exchanges):
            said = {
                name: text
                for name in names
                if chosen(birth, name) and (text := _as_default(name, birth)) is not None
            }
            if said:
                wrong = next((name for name, text in said.items() if text), "")
                yield birth.exchange, birth.said("; ".join(filter(None, said.values())), wrong)

    return over


def _absent(birth: Birth, name: str) -> bool:
    return name not in birth.request


def _null(birth: Birth, name: str) -> bool:
    return name in birth.request and birth.request[name] is None


sequence("run_echo.assistant_is_default")(_unset(INHERITED, _absent))
sequence("run_echo.documented_defaults")(_unset(DEFAULTS, _absent))
sequence("run_echo.null_is_absence")(_unset((*INHERITED, *DEFAULTS), _null))


# the thread that a run is created with


def text_of(message: Any) -> str:
    """The text of a message, as a request or an answer writes it."""
    content = part(message, "content")
    if isinstance(content, str):
        return content
    texts = [part(one, "text") for one in content] if isinstance(content, list) else []
    return "".join(str(part(one, "value") if isinstance(one, Mapping) else one) for one in texts)


def thread_after(
    birth: Birth, exchanges: Sequence[Exchange], context: Context, operation: str
) -> Iterator[tuple[Exchange, Any]]:
    """Successful reads of the run's thread after its creation, and before it is deleted."""
    thread = str(birth.run.get("thread_id"))
    for exchange in after(exchanges, birth.exchange):
        if next(to((exchange,), context, "deleteThread", thread_id=thread), None) is not None:
            return
        if succeeded(exchange) and list(to((exchange,), context, operation, thread_id=thread)):
            yield exchange, answer(exchange)


def listed_messages(
    birth: Birth, exchanges: Sequence[Exchange], context: Context
) -> list[Mapping[str, Any]] | None:
    """The thread's first messages, oldest first, as listed after the run was created."""
    for exchange, value in thread_after(birth, exchanges, context, "listMessages"):
        query, data = query_of(exchange), part(value, "data")
        if query.get("order") == "asc" and not {"after", "before", "run_id"} & set(query):
            return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []
    return None


def _in_order(wanted: Sequence[Any], found: Sequence[Mapping[str, Any]]) -> str:
    """What of the wanted messages is missing, in this order; empty when nothing is."""
    rest = iter(found)
    for message in wanted:
        text, role = text_of(message), part(message, "role")
        if not any(text_of(one) == text and one.get("role") == role for one in rest):
            return f"no message of {role!r} with the text {text!r:.80} in its place"
    return ""


@sequence("run_echo.additional_messages")
def additional_messages(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for birth in births(exchanges):
        wanted = birth.request.get("additional_messages")
        found = listed_messages(birth, exchanges, context)
        if not isinstance(wanted, list) or not wanted or found is None:
            continue
        own = next(
            (at for at, one in enumerate(found) if one.get("run_id") == birth.run.get("id")), len(found)
        )
        yield birth.exchange, birth.said(_in_order(wanted, found[:own]), "additional-messages")


@sequence("run_echo.thread_as_given")
def thread_as_given(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for birth in births(exchanges):
        wanted = birth.request.get("thread")
        if not isinstance(wanted, Mapping):
            continue
        said: list[str] = []
        read = next(thread_after(birth, exchanges, context, "getThread"), None)
        if read is not None:
            said += [
                f"the thread's {name} is {part(read[1], name)!r:.80}, the request says {wanted[name]!r:.80}"
                for name in ("metadata",)
                if wanted.get(name) is not None and not same(wanted[name], part(read[1], name))
            ]
            stores = part(wanted, "tool_resources", "file_search", "vector_store_ids")
            shown = part(read[1], "tool_resources", "file_search", "vector_store_ids")
            if stores is not None and not same(stores, shown):
                said.append(f"the thread's vector stores are {shown!r:.80}, the request says {stores!r:.80}")
        found = listed_messages(birth, exchanges, context)
        if found is not None and isinstance(wanted.get("messages"), list):
            said.append(_in_order(wanted["messages"], found))
        if read is not None or found is not None:
            yield birth.exchange, birth.said("; ".join(filter(None, said)), "thread")


@sequence("run_echo.thread_empty")
def thread_empty(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for birth in births(exchanges):
        if birth.exchange.operation != "createThreadAndRun" or birth.request.get("thread") is not None:
            continue
        found = listed_messages(birth, exchanges, context)
        if found is not None:
            said = any(one.get("role") == "user" for one in found)
            told = "the thread of a run created without one holds a message of the user"
            yield birth.exchange, birth.said(told if said else "", "not-empty")


@sequence("run_echo.thread_is_new")
def thread_is_new(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """The thread of the answer can be read, and no other request was answered with it."""
    known: dict[str, str] = {}
    for birth in births(exchanges):
        thread, creation = str(birth.run.get("thread_id")), birth.exchange
        if creation.operation != "createThreadAndRun":
            continue
        first = known.setdefault(thread, creation.id)
        if first != creation.id:
            yield creation, birth.said(f"its thread {thread} is that of exchange {first}", "old-thread")
            continue
        for read in after(exchanges, creation):
            if next(to((read,), context, "deleteThread", thread_id=thread), None) is not None:
                break
            if next(to((read,), context, "getThread", thread_id=thread), None) is not None:
                if 200 <= status(read) < 500:
                    told = f"its thread {thread} is answered with {status(read)}"
                    yield creation, birth.said("" if succeeded(read) else told, "no-thread")
                break


@sequence("run_echo.usable")
def usable(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """What reads runs, reads the run of createThreadAndRun, too."""
    for birth in births(exchanges):
        if birth.exchange.operation != "createThreadAndRun":
            continue
        thread, run = str(birth.run.get("thread_id")), str(birth.run.get("id"))
        asked_for = 0
        refusals: list[str] = []
        for read in after(exchanges, birth.exchange):
            if next(to((read,), context, "deleteThread", thread_id=thread), None) is not None:
                break
            path = path_values(read, context) if read.operation in _READS else {}
            if path.get("thread_id") == thread and path.get("run_id", run) == run:
                asked_for += 1
                if 400 <= status(read) < 500 and status(read) != 429:
                    refusals.append(f"{read.operation} of it is answered with {status(read)}")
        if asked_for:
            yield birth.exchange, birth.said("; ".join(sorted(set(refusals))[:3]), "unusable")


_READS = frozenset({"getRun", "listRuns", "listRunSteps"})


# metadata


def too_much(metadata: Mapping[str, Any]) -> str:
    """In what metadata goes beyond its limits; empty when it does not."""
    if len(metadata) > PAIRS:
        return f"{len(metadata)} pairs"
    for key, value in metadata.items():
        if len(key) > KEY_LENGTH:
            return f"a key of {len(key)} characters"
        if isinstance(value, str) and len(value) > VALUE_LENGTH:
            return f"a value of {len(value)} characters"
    return ""


@check("run_echo.metadata_limits")
def metadata_limits(exchange: Exchange, context: Context) -> Outcome:
    metadata = part(asked(exchange), "metadata")
    if not isinstance(metadata, Mapping) or not 200 <= status(exchange) < 500:
        return None
    beyond = too_much(metadata)
    if beyond:
        told = f"status {status(exchange)} on metadata with {beyond}, expected 4xx"
        return (Violation(told, "metadata-accepted"),) if succeeded(exchange) else PASSES
    if not about(exchange, "RUN-MD-01"):
        return None
    if not succeeded(exchange):
        told = f"status {status(exchange)} on metadata at its limits, expected 2xx"
        return (Violation(told, "metadata-refused"),)
    if same(metadata, part(answer(exchange), "metadata")):
        return PASSES
    return (Violation("metadata at its limits is not shown as it was sent", "metadata-changed"),)


@sequence("run_echo.modified")
def modified(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """The metadata sent to modifyRun is that of its answer, and of the next reads."""
    for run, history in histories(views(exchanges, RUN)).items():
        changes = [one for one in to(exchanges, context, "modifyRun", run_id=run) if status(one)]
        for change in changes:
            sent = part(asked(change), "metadata")
            if not isinstance(sent, Mapping) or not succeeded(change):
                continue
            until = min(
                (one.started for one in changes if one is not change and one.ended > change.started),
                default=float("inf"),
            )
            shown = [
                view
                for view in history
                if view.exchange is change or change.ended <= view.exchange.started < until
            ]
            lost = [
                view
                for view in shown
                if any(part(view.value, "metadata", key) != value for key, value in sent.items())
                and view.exchange.ended <= until
            ]
            told = f"run {run}: {lost[0].exchange.operation} does not show the metadata sent" if lost else ""
            yield change, (Violation(told, "metadata-lost"),) if told else PASSES
