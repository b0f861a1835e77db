"""Pure checks over recorded exchanges."""

from conformance.checks import (  # noqa: F401  each registers its checks
    assistant_stream_parts,
    assistant_streams,
    assistants,
    batches,
    deletions,
    files,
    fine_tuning,
    inference,
    lifecycle,
    model_responses,
    pagination,
    response_streams,
    run_commands,
    run_echo,
    run_steps,
    runs,
    thread_messages,
    vector_stores,
)
from conformance.checks.judge import Judge, Judgement
from conformance.checks.registry import known_checks

__all__ = ["Judge", "Judgement", "known_checks"]
