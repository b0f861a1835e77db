"""Commands on runs: which are taken in which status, and what they leave as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from conformance.checks.lifecycle import differences
from conformance.checks.objects import View, about, answer, asked, histories, succeeded, views
from conformance.checks.paths import after, first_after, last_before, path_values, query_of, status, to
from conformance.checks.registry import PASSES, Context, Outcome, Ruling, Violation, sequence
from conformance.checks.run_echo import Birth, births, text_of
from conformance.checks.runs import CREATES, ENDED, RUN, call_ids, part, pending_calls, status_of
from conformance.model import Exchange, Purpose

_COMMANDS = frozenset({"cancelRun", "submitToolOuputsToRun"})
_HONEST = frozenset({Purpose.SCENARIO, Purpose.UNKNOWN_ID, Purpose.CANONICAL})


def state(view: View | None) -> str:
    """The status a sight shows; empty for none."""
    return status_of(view.value) if view is not None else ""


def refused(exchange: Exchange) -> bool:
    return 400 <= status(exchange) < 500 and status(exchange) != 429


def must_refuse(exchange: Exchange, when: str, kind: str) -> Outcome:
    """4xx passes, 2xx does not; nothing is said of the rest."""
    if succeeded(exchange):
        return (Violation(f"status {status(exchange)} {when}, expected 4xx", kind),)
    return PASSES if refused(exchange) else None


def commands(
    exchanges: Sequence[Exchange], context: Context, operation: str
) -> Iterator[tuple[Exchange, View, View | None]]:
    """(command, the run's last sight before it, its first sight after it), where the path names the
    run's own thread and no other command may have come between the sight before and this one."""
    for run, history in histories(views(exchanges, RUN)).items():
        for command in to(exchanges, context, operation, run_id=run):
            was = last_before(history, command)
            if was is None or path_values(command, context).get("thread_id") != was.value.get("thread_id"):
                continue
            between = [
                one
                for name in _COMMANDS
                for one in to(exchanges, context, name, run_id=run)
                if one is not command
                and one is not was.exchange
                and not refused(one)
                and one.ended > was.exchange.started
                and one.started < command.ended
            ]
            if not between:
                yield command, was, first_after(history, command)


def _unchanged(command: Exchange, was: View, now: View | None, when: str, kind: str) -> Outcome:
    """Refused, and the run is as it was."""
    outcome = must_refuse(command, when, kind)
    if outcome == PASSES and now is not None and was.exchange is not now.exchange:
        names = sorted({*was.value, *now.value} - {"metadata"})
        return differences(was.id, was, now, names, "by a refused command")
    return outcome


# submit


@sequence("run_commands.submit_only_when_asked")
def submit_only_when_asked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for command, was, now in commands(exchanges, context, "submitToolOuputsToRun"):
        if state(was) in ENDED:
            when = f"for outputs of a run that is {state(was)}"
            yield command, _unchanged(command, was, now, when, f"submit-{state(was)}")


def _submitted(command: Exchange) -> list[Any] | None:
    outputs = part(asked(command), "tool_outputs")
    return [part(one, "tool_call_id") for one in outputs] if isinstance(outputs, list) else None


@sequence("run_commands.submit_all_at_once")
def submit_all_at_once(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for command, was, now in commands(exchanges, context, "submitToolOuputsToRun"):
        pending, given = call_ids(was.value), _submitted(command)
        if state(was) != "requires_action" or given is None:
            continue
        if not set(pending) - set(map(str, given)) or not set(map(str, given)) <= set(pending):
            continue
        when = f"for {len(set(map(str, given)))} of {len(pending)} outputs"
        outcome = must_refuse(command, when, "partial")
        if outcome == PASSES and state(now) in ("queued", "in_progress", "completed"):
            yield command, (Violation(f"refused, yet the run is {state(now)} now", "partial-effect"),)
        else:
            yield command, outcome


@sequence("run_commands.submit_own_calls")
def submit_own_calls(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for command, was, _ in commands(exchanges, context, "submitToolOuputsToRun"):
        pending, given = call_ids(was.value), _submitted(command)
        if state(was) != "requires_action" or not pending or given is None:
            continue
        texts = [str(one) for one in given]
        if set(texts) - set(pending) or len(set(texts)) < len(texts):
            yield command, must_refuse(command, "for outputs of calls the run has not asked for", "foreign")


@sequence("run_commands.submit_moves_on")
def submit_moves_on(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """What answers an accepted submit waits no longer for the calls that were answered."""
    for view in views(exchanges, RUN):
        given = _submitted(view.exchange)
        if view.exchange.operation != "submitToolOuputsToRun" or given is None:
            continue
        still = [one for one in call_ids(view.value) if one in given]
        if state(view) == "requires_action" and still:
            told = f"run {view.id} still waits for {still[0]!r:.60}, whose output was accepted"
            yield view.exchange, (Violation(told, "still-waiting"),)
        else:
            yield view.exchange, PASSES


# cancel


@sequence("run_commands.cancel_at_work")
def cancel_at_work(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for command, was, now in commands(exchanges, context, "cancelRun"):
        if state(was) != "in_progress":
            continue
        if succeeded(command):
            yield command, PASSES
        elif refused(command) and state(now) in ("queued", "in_progress"):
            told = f"status {status(command)} on the cancel of a run in progress, expected 2xx"
            yield command, (Violation(told, "cancel-refused"),)


@sequence("run_commands.cancel_after_end")
def cancel_after_end(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for command, was, now in commands(exchanges, context, "cancelRun"):
        if state(was) in ENDED:
            when = f"on the cancel of a run that is {state(was)}"
            yield command, _unchanged(command, was, now, when, f"cancel-{state(was)}")


@sequence("run_commands.cancel_shows_it")
def cancel_shows_it(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for view in views(exchanges, RUN):
        if view.exchange.operation == "cancelRun":
            shown = state(view)
            # A run may end by itself while its cancel is under way.
            fine = shown == "cancelling" or shown in ENDED
            told = f"run {view.id}: an accepted cancel answers {shown!r}, expected cancelling or cancelled"
            yield view.exchange, PASSES if fine else (Violation(told, f"cancel-{shown}"),)


# the lock


@sequence("run_commands.thread_locked")
def thread_locked(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    runs = histories(views(exchanges, RUN))
    for exchange in exchanges:
        if exchange.operation not in ("createRun", "createMessage"):
            continue
        thread = path_values(exchange, context).get("thread_id")
        known = [last_before(history, exchange) for history in runs.values()]
        here = [view for view in known if view is not None and view.value.get("thread_id") == thread]
        waiting = [
            view
            for view in here
            if state(view) == "requires_action" and not _commanded(view, exchange, exchanges, context)
        ]
        if waiting:
            when = f"while run {waiting[0].id} waits for outputs"
            outcome = must_refuse(exchange, when, "not-locked")
            if outcome != PASSES or about(exchange, "RUN-CMD-08"):
                yield exchange, outcome
        elif here and about(exchange, "RUN-CMD-08") and all(state(view) in ENDED for view in here):
            told = f"status {status(exchange)} after the end of the run, expected 2xx"
            if succeeded(exchange):
                yield exchange, PASSES
            elif refused(exchange):
                yield exchange, (Violation(told, "still-locked"),)


def _commanded(view: View, until: Exchange, exchanges: Sequence[Exchange], context: Context) -> bool:
    """Whether a command may have moved the run on since it was seen."""
    return any(
        one.ended > view.exchange.started and one.started < until.ended and not refused(one)
        for name in _COMMANDS
        for one in to(exchanges, context, name, run_id=view.id)
        if one is not view.exchange
    )


# addressing


@sequence("run_commands.own_thread_only")
def own_thread_only(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    threads = {
        view.id: str(view.value.get("thread_id"))
        for view in views(exchanges, RUN)
        if view.exchange.operation in CREATES
    }
    for exchange in exchanges:
        if exchange.purpose not in _HONEST:
            continue
        path = path_values(exchange, context)
        thread = threads.get(path.get("run_id", ""))
        if thread is None or path.get("thread_id", thread) == thread or not 200 <= status(exchange) < 500:
            continue
        if status(exchange) == 404 or (
            status(exchange) == 403 and "403" in context.operation(exchange).statuses
        ):
            yield exchange, PASSES
        elif status(exchange) != 429:
            told = f"status {status(exchange)} on a run addressed through another thread, expected 404"
            yield exchange, (Violation(told, f"thread-{status(exchange)}"),)


@sequence("run_commands.gone_with_thread")
def gone_with_thread(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for deletion in exchanges:
        if deletion.operation != "deleteThread" or not succeeded(deletion):
            continue
        thread = path_values(deletion, context).get("thread_id", "")
        for read in after(to(exchanges, context, "getRun", thread_id=thread), deletion):
            if succeeded(read):
                told = f"status {status(read)} on a run of a deleted thread, expected 404"
                yield read, (Violation(told, "outlives-thread"),)
            elif refused(read):
                yield read, PASSES


@sequence("run_commands.unknown_assistant")
def unknown_assistant(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """Refused, and no run is left in the thread that no answer told of."""
    told_of = {view.id for view in views(exchanges, RUN) if view.exchange.operation in CREATES}
    for exchange in exchanges:
        if exchange.operation not in CREATES or not about(exchange, "RUN-CMD-10"):
            continue
        outcome = must_refuse(exchange, "for an assistant that does not exist", "unknown-assistant")
        thread = path_values(exchange, context).get("thread_id")
        if outcome == PASSES and thread is not None:
            for listing in after(to(exchanges, context, "listRuns", thread_id=thread), exchange)[:1]:
                strange = [view.id for view in views((listing,), RUN) if view.id not in told_of]
                if strange:
                    told = f"refused, yet {strange[0]} is in the thread"
                    outcome = (Violation(told, "unknown-assistant-run"),)
        yield exchange, outcome


@sequence("run_commands.unknown_field")
def unknown_field(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    for exchange in exchanges:
        if exchange.operation in CREATES and about(exchange, "RUN-CMD-16"):
            yield exchange, must_refuse(exchange, "on a body with an unknown field", "unknown-field")


@sequence("run_commands.listed")
def listed(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    """A run that was created is in the whole list of its thread, as getRun shows it at its end."""
    born = [birth for birth in births(exchanges) if isinstance(birth.run.get("id"), str)]
    runs = histories(views(exchanges, RUN))
    for listing in exchanges:
        value = answer(listing)
        if listing.operation != "listRuns" or not succeeded(listing) or part(value, "has_more") is not False:
            continue
        if {"after", "before"} & set(query_of(listing)):
            continue
        thread = path_values(listing, context).get("thread_id")
        shown = {view.id: view for view in views((listing,), RUN)}
        for birth in born:
            if birth.run.get("thread_id") != thread or birth.exchange.ended > listing.started:
                continue
            run = str(birth.run["id"])
            if run not in shown:
                yield listing, (Violation(f"run {run} is not in the list of its thread", "not-listed"),)
                continue
            read = [view for view in runs[run] if view.exchange.operation == "getRun"]
            known = last_before(read, listing)
            if known is not None and state(known) in ENDED and state(known) == state(shown[run]):
                names = sorted({*known.value, *shown[run].value} - {"metadata"})
                yield listing, differences(run, known, shown[run], names, "between getRun and listRuns")
            else:
                yield listing, PASSES


# what the request asked of the model


@sequence("run_commands.tool_choice")
def tool_choice(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    runs = histories(views(exchanges, RUN))
    for birth in births(exchanges):
        choice = birth.request.get("tool_choice")
        seen = runs.get(str(birth.run.get("id")), [])
        statuses = {state(view) for view in seen}
        waited = [view for view in seen if state(view) == "requires_action"]
        function = part(choice, "function", "name") if part(choice, "type") == "function" else None
        if choice == "none" and (statuses & ENDED or waited):
            yield (
                birth.exchange,
                birth.said("tool_choice is none, yet it asks for outputs" if waited else "", "none"),
            )
        elif isinstance(function, str) and waited:
            first = part(next(iter(pending_calls(waited[0].value)), None), "function", "name")
            told = f"tool_choice names {function!r:.60}, the first call is of {first!r:.60}"
            yield birth.exchange, birth.said("" if first == function else told, "other-function")
        elif isinstance(function, str) or (choice == "required" and _only_functions(birth)):
            if waited:
                yield birth.exchange, PASSES
            elif "completed" in statuses:
                yield birth.exchange, birth.said("completed without the tool call it must make", "no-call")


def _only_functions(birth: Birth) -> bool:
    tools = birth.run.get("tools")
    return isinstance(tools, list) and all(part(one, "type") == "function" for one in tools)


@sequence("run_commands.json_answer")
def json_answer(exchanges: Sequence[Exchange], context: Context) -> Iterable[Ruling]:
    runs = histories(views(exchanges, RUN))
    for birth in births(exchanges):
        run, thread = str(birth.run.get("id")), str(birth.run.get("thread_id"))
        if part(birth.request.get("response_format"), "type") != "json_object" or not any(
            state(view) == "completed" for view in runs.get(run, ())
        ):
            continue
        messages = [
            one
            for listing in after(to(exchanges, context, "listMessages", thread_id=thread), birth.exchange)
            for one in _entries(answer(listing))
            if one.get("run_id") == run and one.get("role") == "assistant" and text_of(one)
        ]
        if messages:
            wrong = next((one for one in messages if not _is_json(text_of(one))), None)
            told = f"{text_of(wrong)!r:.80} is not JSON" if wrong is not None else ""
            yield birth.exchange, birth.said(told, "not-json")


def _entries(value: Any) -> list[Mapping[str, Any]]:
    data = part(value, "data")
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
