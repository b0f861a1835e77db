"""What holds requests back: the ceilings of the user, the pace, and a breaker for a dead target."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance import sse
from conformance.target.profile import Limits, Pace

THRESHOLD = 8  # failures in a row that open the breaker
FIRST_ANSWER_WITHIN = 20.0  # seconds; a target that has not answered anything by then is dead
CLEANUP_TRIALS = 3  # cleanups that may still try an open breaker, until one of them succeeds
_TOKENS = b"_tokens"
_WHOLE_SECONDS = re.compile(r"\d{1,9}(\.\d+)?")


@dataclass
class Budget:
    """Counts requests, tokens and seconds against the limits of one worker."""

    limits: Limits
    requests: int = 0
    tokens: int = 0
    _seen: dict[str, int] = field(default_factory=dict)  # tokens by object id: polls repeat the usage

    def used_up(self, elapsed: float) -> str | None:
        """Which ceiling is reached, as a line of text; None while there is room."""
        limits = self.limits
        if limits.requests is not None and self.requests >= limits.requests:
            return f"budget of {limits.requests} requests used up"
        if limits.tokens is not None and self.tokens >= limits.tokens:
            return f"budget of {limits.tokens} tokens used up ({self.tokens} spent)"
        if limits.seconds is not None and elapsed >= limits.seconds:
            return f"budget of {limits.seconds:g} seconds used up"
        return None

    def count_tokens(self, media_type: str, body: bytes) -> None:
        """Add the usage that an answer reports; the same object seen again counts once."""
        if _TOKENS not in body:
            return
        for identifier, tokens in _usages(media_type, body):
            before = self._seen.get(identifier, 0) if identifier else 0
            self.tokens += max(0, tokens - before)
            if identifier:
                self._seen[identifier] = max(tokens, before)


def _usages(media_type: str, body: bytes) -> list[tuple[str, int]]:
    texts = [event.data for event in sse.parse(body)] if media_type == "text/event-stream" else [body]
    found = []
    for text in texts:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        for one in (value, value.get("response") if isinstance(value, dict) else None):
            if not isinstance(one, dict) or not isinstance(usage := one.get("usage"), dict):
                continue
            total = usage.get("total_tokens")
            if isinstance(total, int) and 0 < total < 1 << 40:
                found.append((str(one.get("id") or ""), total))
    return found


@dataclass
class Breaker:
    """Opens for good after enough failures in a row; then nothing is sent but a few cleanups.

    One slow operation must not silence the rest: timeouts of a single operation on a target that
    answers others close only that operation.
    """

    threshold: int = THRESHOLD
    first_answer_within: float = FIRST_ANSWER_WITHIN
    answered: bool = False
    reason: str = ""  # of the opening, one line
    _streak: int = 0
    _operations: set[str] = field(default_factory=set)
    _connects: int = 0
    _by_operation: dict[str, int] = field(default_factory=dict)
    _first_failure: float | None = None
    _cleanup_trials: int = 0

    def refuses(self, operation: str, *, cleanup: bool = False) -> str | None:
        """Why a request must not be sent; None when it may. A cleanup that may uses up a trial."""
        if cleanup:
            if not self.reason:
                return None
            self._cleanup_trials += 1
            return self.reason if self._cleanup_trials > CLEANUP_TRIALS else None
        if self.reason:
            return self.reason
        if self._by_operation.get(operation, 0) >= self.threshold:
            return f"{operation}: {self.threshold} timeouts in a row"
        return None

    def success(self, operation: str) -> None:
        """Something answered, whatever it was."""
        self.answered = True
        self._streak = self._connects = self._cleanup_trials = 0
        self._operations.clear()
        self._by_operation.pop(operation, None)
        self._first_failure = None

    def failure(self, operation: str, detail: str, *, connect: bool, started: float, now: float) -> None:
        """Nobody listened (``connect``) or nothing answered in time; times in seconds, one clock."""
        self._streak += 1
        self._connects += connect
        self._operations.add(operation)
        if not connect:
            self._by_operation[operation] = self._by_operation.get(operation, 0) + 1
        if self._first_failure is None:
            self._first_failure = started
        silent = not self.answered and now - self._first_failure >= self.first_answer_within
        several = self._connects >= self.threshold or len(self._operations) >= 3 or not self.answered
        if silent:
            self._open(f"no answer within {self.first_answer_within:g} s: {detail}")
        elif self._streak >= self.threshold and several:
            self._open(f"{self._streak} failures in a row: {detail}")

    def _open(self, reason: str) -> None:
        self.reason = self.reason or reason


class Pacer:
    """Spaces requests evenly at ``per_second`` and stops for as long as a target asked for."""

    def __init__(self, pace: Pace, workers: int = 1, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = workers / pace.per_second if pace.per_second else 0.0
        self._max_wait = pace.max_wait
        self._left = pace.max_total_wait
        self._clock = clock
        self._next = 0.0
        self._pause_until = 0.0

    async def wait(self) -> None:
        """Return when the next request may go out."""
        while True:
            now = self._clock()
            if self._pause_until > now:
                await asyncio.sleep(self._pause_until - now)
                continue
            if not self._gap:
                return
            slot = max(self._next, now)
            self._next = slot + self._gap
            if slot > now:
                await asyncio.sleep(slot - now)
            if self._pause_until <= self._clock():
                return

    def pause(self, retry_after: str | None, wall: float | None = None) -> bool:
        """Whether to wait and try again, for this ``Retry-After``; later ``wait`` calls see to it.

        False when there is none, it cannot be read, or it asks for more than the bounds allow.
        """
        seconds = retry_seconds(retry_after, time.time() if wall is None else wall)
        if seconds is None or seconds > self._max_wait:
            return False
        now = self._clock()
        added = max(0.0, now + seconds - max(self._pause_until, now))
        if added > self._left:
            return False
        self._left -= added
        self._pause_until = max(self._pause_until, now + seconds)
        return True


def retry_seconds(value: str | None, wall: float) -> float | None:
    """Seconds that a ``Retry-After`` asks for: a number, or an HTTP date (``wall`` is now)."""
    if value is None:
        return None
    text = value.strip()
    if _WHOLE_SECONDS.fullmatch(text):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, moment.timestamp() - wall)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
