"""Analytics: graphs, summary and groups, computed from recorded traffic and feedback when asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.reference.admin.table import moment
from conformance.reference.admin.traffic import selected, weighted_feedback
from conformance.reference.core import Call, Record, handles, iso

Entries = list[Record]
_WIDTHS = (60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400)  # seconds
_MOST = 100  # buckets, where a listed width allows it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FACETS = (
    "total_units_min", "total_units_max", "cost_min", "cost_max", "prompt_token_min", "prompt_token_max",
    "completion_token_min", "completion_token_max", "status_code", "virtual_keys", "configs", "api_key_ids",
    "metadata", "ai_org_model", "trace_id", "span_id", "prompt_slug", "workspace_slug",
    "weighted_feedback_min", "weighted_feedback_max",
)  # fmt: skip


@dataclass(frozen=True)
class Bucket:
    """The entries from ``at`` (Unix seconds) on, for one bucket's width."""

    at: float
    entries: Entries

    @property
    def timestamp(self) -> str:
        return (_EPOCH + timedelta(seconds=self.at)).isoformat().replace("+00:00", "Z")


def _buckets(call: Call, entries: Entries) -> list[Bucket]:
    """Only buckets that hold something, counted from the start of the range, oldest first."""
    since = moment(call.query["time_of_generation_min"], "time_of_generation_min")
    until = moment(call.query["time_of_generation_max"], "time_of_generation_max")
    span = max(until - since, 0.0)
    width = next((w for w in _WIDTHS if span / w <= _MOST), 30 * 86_400)
    filled: dict[int, Entries] = {}
    for entry in entries:
        filled.setdefault(math.floor((entry["created_at"] - since) / width), []).append(entry)
    return [Bucket(since + number * width, filled[number]) for number in sorted(filled)]


def _graph(summary: Record, points: list[Record]) -> Record:
    return {"summary": summary, "data_points": points, "object": "analytics-graph"}


def _points(call: Call, entries: Entries, measure: Callable[[Entries], Record]) -> list[Record]:
    return [{"timestamp": b.timestamp} | measure(b.entries) for b in _buckets(call, entries)]


def _mean(values: list[Any]) -> float:
    return round(float(sum(values)) / len(values), 6) if values else 0.0


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0


def _failed(entries: Entries) -> Entries:
    return [entry for entry in entries if entry["status"] >= 400]


def _tokens(entry: Record) -> int:
    return int(entry["prompt_tokens"]) + int(entry["completion_tokens"])


def _rate(part: int, whole: int) -> float:
    return round(100 * part / whole, 4) if whole else 0.0


def _traffic(call: Call) -> Entries:
    return selected(call.tenant, call.query)


def _feedback(call: Call) -> Entries:
    """Feedback given in the range; with other filters, on traces of traffic that passes them."""
    since = moment(call.query["time_of_generation_min"], "time_of_generation_min")
    until = moment(call.query["time_of_generation_max"], "time_of_generation_max")
    given = [row for row in call.tenant.of("feedback").values() if since <= row["created_at"] <= until]
    facets = {name: call.query[name] for name in _FACETS if call.query.get(name) is not None}
    if not facets:
        return given
    traces = {entry["trace_id"] for entry in selected(call.tenant, facets)}
    return [row for row in given if row["trace_id"] in traces]


# --- graphs ----------------------------------------------------------------------------------------


@handles("getAnalyticsGraphsRequests")
def requests(call: Call) -> Record:
    entries = _traffic(call)
    return _graph({"total": len(entries)}, _points(call, entries, lambda some: {"total": len(some)}))


@handles("getAnalyticsGraphsCost")
def cost(call: Call) -> Record:
    entries = _traffic(call)

    def measure(some: Entries) -> Record:
        total = round(sum(entry["cost"] for entry in some), 6)
        return {"total": total, "avg": round(total / len(some), 6)}

    points = _points(call, entries, measure)
    total = round(sum(point["total"] for point in points), 6)
    return _graph({"total": total, "avg": round(total / len(entries), 6) if entries else 0.0}, points)


@handles("getAnalyticsGraphsLatency")
def latency(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        ordered = sorted(float(entry["latency_ms"]) for entry in some)
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        return {
            "avg": _mean(ordered),
            **{name: _percentile(ordered, share) for name, share in shares.items()},
        }

    entries = _traffic(call)
    return _graph(measure(entries), _points(call, entries, measure))


@handles("getAnalyticsGraphsTokens")
def tokens(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        used = [_tokens(entry) for entry in some]
        return {"total": sum(used), "avg": _mean(used)}

    entries = _traffic(call)
    return _graph(measure(entries), _points(call, entries, measure))


def _named(entries: Entries) -> Entries:
    return [entry for entry in entries if entry["user"] is not None]


@handles("getAnalyticsGraphsUsers")
def users(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        return {"total": len({entry["user"] for entry in some})}

    entries = _named(_traffic(call))
    return _graph(measure(entries), _points(call, entries, measure))


@handles("getAnalyticsGraphsUsersRequests")
def user_requests(call: Call) -> Record:
    entries = _named(_traffic(call))

    def unique(some: Entries) -> int:
        return len({entry["user"] for entry in some})

    def average(some: Entries) -> float:
        return round(len(some) / unique(some), 6) if some else 0.0

    summary = {"total": len(entries), "unique": unique(entries), "avg": average(entries)}
    return _graph(summary, _points(call, entries, lambda some: {"avg": average(some)}))


@handles("getAnalyticsGraphsErrors")
def errors(call: Call) -> Record:
    entries = _failed(_traffic(call))
    return _graph({"total": len(entries)}, _points(call, entries, lambda some: {"total": len(some)}))


@handles("getAnalyticsGraphsErrorsRate")
def error_rate(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        return {"rate": _rate(len(_failed(some)), len(some))}

    entries = _traffic(call)
    return _graph(measure(entries), _points(call, entries, measure))


@handles("getAnalyticsGraphsErrorsStacks")
def error_stacks(call: Call) -> Record:
    entries = _failed(_traffic(call))

    def measure(some: Entries) -> Record:
        counts = sorted(Counter(int(entry["status"]) for entry in some).items())
        return {"stats": [{"response_status_code": code, "count": count} for code, count in counts]}

    return _graph({"total": len(entries)}, _points(call, entries, measure))


@handles("getAnalyticsGraphsErrorsStatusCodes")
def error_codes(call: Call) -> Record:
    counts = sorted(Counter(int(entry["status"]) for entry in _failed(_traffic(call))).items())
    summary = {"total_errors": sum(count for _, count in counts), "unique_error_codes": len(counts)}
    return _graph(summary, [{"status_code": code, "count": count} for code, count in counts])


@handles("getAnalyticsGraphsRequestsRescued")
def rescued(call: Call) -> Record:
    entries = [
        entry for entry in _traffic(call) if (entry["retries"] or entry["fallback"]) and entry["status"] < 400
    ]

    def measure(some: Entries) -> Record:
        counts = sorted(Counter(int(entry["retries"]) for entry in some if entry["retries"]).items())
        return {
            "retry": [{"retry_success_count": tries, "count": count} for tries, count in counts],
            "fallback": sum(bool(entry["fallback"]) for entry in some),
        }

    points = _points(call, entries, measure)
    retried = sum(one["count"] for point in points for one in point["retry"])
    return _graph({"retry": retried, "fallback": sum(point["fallback"] for point in points)}, points)


@handles("getAnalyticsGraphsCacheHitRate")
def cache_hit_rate(call: Call) -> Record:
    entries = _traffic(call)
    saved = {"simple": 0.0, "semantic": 0.0}

    def measure(some: Entries) -> Record:
        hits = {kind: [entry for entry in some if entry["cache"] == kind] for kind in saved}
        for kind, of_kind in hits.items():
            saved[kind] += sum(entry["cost"] for entry in of_kind)
        return {
            "simple_hits": len(hits["simple"]),
            "semantic_hits": len(hits["semantic"]),
            "rate": _rate(len(hits["simple"]) + len(hits["semantic"]), len(some)),
            "cumulative_simple_cache_savings": round(saved["simple"], 6),
            "cumulative_semantic_cache_savings": round(saved["semantic"], 6),
        }

    points = _points(call, entries, measure)
    total = sum(point["simple_hits"] + point["semantic_hits"] for point in points)
    return _graph({"total": total, "rate": _rate(total, len(entries))}, points)


def _hits(entries: Entries) -> Entries:
    return [entry for entry in entries if entry["cache"] in ("simple", "semantic")]


@handles("getAnalyticsGraphsCacheLatency")
def cache_latency(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        return {"avg": _mean([entry["latency_ms"] for entry in some])}

    entries = _hits(_traffic(call))
    return _graph(measure(entries), _points(call, entries, measure))


@handles("getAnalyticsGraphsFeedbacks")
def feedbacks(call: Call) -> Record:
    given = _feedback(call)
    return _graph({"total": len(given)}, _points(call, given, lambda some: {"total": len(some)}))


@handles("getAnalyticsGraphsFeedbacksScores")
def feedback_scores(call: Call) -> Record:
    counts = sorted(Counter(int(row["value"]) for row in _feedback(call)).items())
    points = [{"score": score, "total": count} for score, count in counts]
    return _graph({"total": sum(counts_of for _, counts_of in counts)}, points)


@handles("getAnalyticsGraphsFeedbacksWeighted")
def feedback_weighted(call: Call) -> Record:
    def measure(some: Entries) -> Record:
        return {"avg": _mean([row["value"] * row["weight"] for row in some])}

    given = _feedback(call)
    return _graph(measure(given), _points(call, given, measure))


@handles("getAnalyticsGraphsFeedbacksAiModels")
def feedback_models(call: Call) -> Record:
    models = {entry["trace_id"]: entry["model"] for entry in call.tenant.of("traffic").values()}
    scores: dict[str, list[float]] = {}
    for row in _feedback(call):
        model = models.get(row["trace_id"])
        if model:
            scores.setdefault(model, []).append(row["value"] * row["weight"])
    points = [
        {"ai_model": model, "total": len(values), "avg_weighted_feedback": _mean(values)}
        for model, values in sorted(scores.items())
    ]
    return _graph({}, points)


# --- summary and groups ----------------------------------------------------------------------------


@handles("getAnalyticsSummaryCache")
def cache_summary(call: Call) -> Record:
    entries = _traffic(call)
    hits = _hits(entries)
    cached = _mean([entry["latency_ms"] for entry in hits])
    plain = _mean([entry["latency_ms"] for entry in entries if entry["cache"] is None])
    summary = {
        "hits": len(hits),
        "avg_latency": cached,
        "total_requests": len(entries),
        "cache_speedup": _rate(max(int(plain - cached), 0), max(int(plain), 1)) if hits else 0.0,
    }
    return {"summary": summary, "object": "analytics-summary"}


def _groups(call: Call, key: Callable[[Record], Any], show: Callable[[str, Entries], Record]) -> Record:
    """One item a value, the busiest first; entries without a value are left out."""
    groups: dict[str, Entries] = {}
    for entry in _traffic(call):
        value = key(entry)
        if value not in (None, ""):
            groups.setdefault(value if isinstance(value, str) else str(value), []).append(entry)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    size = int(call.query.get("page_size") or 50)
    start = int(call.query.get("current_page") or 0) * size
    data = [
        show(value, some) | {"object": "analytics-group"} for value, some in ordered[start : start + size]
    ]
    return {"object": "list", "total": len(ordered), "data": data}


def _cost(some: Entries) -> float:
    return round(float(sum(entry["cost"] for entry in some)), 6)


@handles("getAnalyticsGroupsUsers")
def group_users(call: Call) -> Record:
    return _groups(
        call,
        lambda entry: entry["user"],
        lambda user, some: {"user": user, "requests": str(len(some)), "cost": f"{_cost(some):.6f}"},
    )


@handles("getAnalyticsGroupsAiModels")
def group_models(call: Call) -> Record:
    return _groups(
        call,
        lambda entry: entry["model"],
        lambda model, some: {"ai_model": model, "requests": str(len(some))},
    )


@handles("getAnalyticsGroupsMetadataMetadataKey")
def group_metadata(call: Call) -> Record:
    name, scores = call.path["metadataKey"], weighted_feedback(call.tenant)

    def show(value: str, some: Entries) -> Record:
        scored = [scores[entry["trace_id"]] for entry in some if entry["trace_id"] in scores]
        return {
            "metadata_value": value,
            "requests": len(some),
            "cost": _cost(some),
            "avg_tokens": _mean([_tokens(entry) for entry in some]),
            "avg_weighted_feedback": _mean(scored),
            "requests_with_feedback": len(scored),
            "last_seen": iso(max(entry["created_at"] for entry in some)),
        }

    return _groups(call, lambda entry: entry["metadata"].get(name), show)
