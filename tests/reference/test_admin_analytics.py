"""Analytics of the reference gateway: sums over recorded traffic that agree with one another."""

from __future__ import annotations

import time
from typing import Any

import pytest
from admin_world import AdminWorld, Body, stamp

SPAN = {"time_of_generation_min": stamp(-3600), "time_of_generation_max": stamp(3600)}
GRAPHS = ("Requests", "Cost", "Tokens", "Errors", "Users", "Latency", "CacheHitRate", "ErrorsRate")


@pytest.fixture
def world() -> AdminWorld:
    """Eight calls: two failed, two from the cache, two rescued, by two users, with two models."""
    world = AdminWorld()
    traffic = world.tenant.of("traffic")
    for seeded in [key for key, entry in traffic.items() if entry["created_at"] > time.time() - 3600]:
        del traffic[seeded]
    for number in range(8):
        world.call(
            trace_id=f"t{number}",
            model=("small", "large")[number % 2],
            status=(200, 200, 200, 429)[number % 4],
            prompt_tokens=10 * number,
            completion_tokens=1,
            cost=0.001 * number,
            latency_ms=5.0 * number,
            metadata={"team": ("red", "blue")[number % 2], "_user": f"user-{number % 2}"},
            cache="simple" if number in (0, 4) else None,
            retries=2 if number == 1 else 0,
            fallback=number == 2,
        )
    return world


def graph(world: AdminWorld, name: str, **filters: Any) -> Body:
    answer: Body = world.ok(f"getAnalyticsGraphs{name}", query={**SPAN, **filters})
    assert answer["object"] == "analytics-graph"
    return answer


def total(world: AdminWorld, name: str, **filters: Any) -> float:
    return float(graph(world, name, **filters)["summary"]["total"])


@pytest.mark.parametrize("name", ["Requests", "Cost", "Tokens", "Errors"])
def test_a_total_is_the_sum_of_its_points(world: AdminWorld, name: str) -> None:
    """No bucket is lost or counted twice."""
    answer = graph(world, name)
    assert answer["summary"]["total"] == pytest.approx(sum(p["total"] for p in answer["data_points"]))
    assert answer["summary"]["total"] > 0


@pytest.mark.parametrize("name", GRAPHS)
def test_points_are_ordered_and_inside_the_range(world: AdminWorld, name: str) -> None:
    """Timestamps strictly increase within the asked range."""
    stamps = [point["timestamp"] for point in graph(world, name)["data_points"]]
    assert stamps == sorted(set(stamps))
    assert all(
        SPAN["time_of_generation_min"][:19] <= one[:19] <= SPAN["time_of_generation_max"] for one in stamps
    )


def test_requests_and_their_errors_agree_everywhere(world: AdminWorld) -> None:
    """Errors, stacks, status codes and the rate tell the same story."""
    assert (total(world, "Requests"), total(world, "Errors")) == (8, 2)
    assert graph(world, "ErrorsStatusCodes") == {
        "summary": {"total_errors": 2, "unique_error_codes": 1},
        "data_points": [{"status_code": 429, "count": 2}],
        "object": "analytics-graph",
    }
    assert total(world, "ErrorsStacks") == 2
    assert graph(world, "ErrorsRate")["summary"]["rate"] == 25


def test_latency_percentiles_are_ordered(world: AdminWorld) -> None:
    """p50, p90 and p99 never decrease, as a whole and in each bucket."""
    answer = graph(world, "Latency")
    for one in (answer["summary"], *answer["data_points"]):
        assert one["p50"] <= one["p90"] <= one["p99"]
        assert 0 <= one["avg"] <= one["p99"]


def test_users_cache_and_rescues_are_counted(world: AdminWorld) -> None:
    """Unique users, their average, cache hits, retries and fallbacks are those of the traffic."""
    assert total(world, "Users") == 2
    assert graph(world, "UsersRequests")["summary"] == {"total": 8, "unique": 2, "avg": 4.0}
    assert graph(world, "CacheHitRate")["summary"] == {"total": 2, "rate": 25.0}
    assert graph(world, "CacheLatency")["summary"] == {"avg": 10.0}
    assert graph(world, "RequestsRescued")["summary"] == {"retry": 1, "fallback": 1}
    summary = world.ok("getAnalyticsSummaryCache", query=SPAN)["summary"]
    assert (summary["hits"], summary["total_requests"]) == (2, 8)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status_code": "429"}, 2),
        ({"status_code": "200,429"}, 8),
        ({"ai_org_model": "openai__small"}, 4),
        ({"metadata": '{"team": "red"}'}, 4),
        ({"metadata": "no json"}, 0),
        ({"trace_id": "t3"}, 1),
        ({"total_units_min": 41}, 4),
        ({"cost_max": 0.0015}, 2),
        ({"time_of_generation_max": stamp(-1800)}, 0),
        ({"time_of_generation_min": stamp(7200)}, 0),
        ({"virtual_keys": "none"}, 0),
    ],
)
def test_filters_narrow(world: AdminWorld, filters: Body, expected: int) -> None:
    """Each filter keeps exactly the calls it names; a range turned round keeps none."""
    assert total(world, "Requests", **filters) == expected


def test_groups_share_out_the_requests(world: AdminWorld) -> None:
    """Keys are unique, pages follow one another, and the parts add up to the whole."""
    for name, key in (("Users", "user"), ("AiModels", "ai_model")):
        pages = [
            world.ok(f"getAnalyticsGroups{name}", query={**SPAN, "page_size": 1, "current_page": page})
            for page in range(3)
        ]
        items = [one for page in pages for one in page["data"]]
        assert pages[0]["total"] == len({one[key] for one in items}) == len(items) == 2
        assert sum(int(one["requests"]) for one in items) == 8
    world.ok("createFeedback", {"trace_id": "t0", "value": 8, "weight": 0.5})
    groups = world.ok("getAnalyticsGroupsMetadataMetadataKey", query=SPAN, metadataKey="team")["data"]
    assert {one["metadata_value"]: one["requests"] for one in groups} == {"red": 4, "blue": 4}
    assert [one["requests_with_feedback"] for one in groups if one["metadata_value"] == "red"] == [1]
    models = graph(world, "FeedbacksAiModels")["data_points"]
    assert models == [{"ai_model": "small", "total": 1, "avg_weighted_feedback": 4.0}]
    assert total(world, "Feedbacks", ai_org_model="openai__large") == 0


def test_a_closed_past_reads_the_same_twice(world: AdminWorld) -> None:
    """Nothing is random or recounted."""
    past = {"time_of_generation_min": stamp(-10 * 86_400), "time_of_generation_max": stamp(-3600)}
    assert graph(world, "Requests", **past) == graph(world, "Requests", **past)
    assert total(world, "Requests", **past) > 0


def test_a_call_of_another_organisation_is_not_counted(world: AdminWorld) -> None:
    """Each tenant sees its own traffic."""
    world.who = "other"
    assert total(world, "Requests") == 0


def test_real_calls_are_counted(world: AdminWorld) -> None:
    """Inference through the gateway raises the total by as many calls as were made."""
    before = total(world, "Requests")
    chat = {"model": "reference-chat", "messages": [{"role": "user", "content": "hi"}]}
    for _ in range(2):
        assert world.status("createChatCompletion", chat) == 200
    assert total(world, "Requests") == before + 2
