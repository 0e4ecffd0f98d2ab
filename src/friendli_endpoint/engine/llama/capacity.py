"""Number of sequences and context length that fit into memory."""

from dataclasses import dataclass
from pathlib import Path

from friendli_endpoint.files import format_size

__all__ = ["EngineCapacity", "available_memory", "fit", "high_water_mark"]

_SHARE = 0.8
"""Fraction of the free memory for KV caches; the rest is for buffers and other processes."""

_MAX_SHARE = 0.9
"""Fraction of the free memory that the process may take before it queues no more requests."""

_MIN_CONTEXT = 256
"""Context length in tokens below which short memory does not lower it; also its granularity."""

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class EngineCapacity:
    """Number of concurrent sequences and their context length.

    Attributes:
        sequences: Maximum number of choices that run at the same time.
        context: Context length of each sequence, in tokens.
        notes: Sentences for the log that say which values were lowered and why.
    """

    sequences: int
    context: int
    notes: tuple[str, ...] = ()


def fit(
    sequences: int,
    context: int,
    *,
    train_context: int,
    bytes_per_token: int,
    free_bytes: int | None,
    extra_tokens: int = 0,
) -> EngineCapacity:
    """Lowers the requested capacity to what the model supports and what fits into memory.

    The context is first limited to the training context. If memory is short, the number of
    sequences is lowered; the context is lowered only when a single sequence does not fit.

    Args:
        sequences: Requested number of sequences.
        context: Requested context length, in tokens.
        train_context: Context length the model was trained for, in tokens.
        bytes_per_token: Size of the KV cache of one token, in bytes.
        free_bytes: Free memory in bytes, or None if unknown.
        extra_tokens: KV cache tokens allocated for each sequence in addition to its context.

    Returns:
        The capacity. Short memory never lowers the context below 256 tokens.
    """
    notes: list[str] = []
    if context > train_context:
        notes.append(
            f"the context is lowered from {context} to {train_context} tokens, "
            "for which the model was trained"
        )
        context = train_context
    tokens_per_sequence = context + extra_tokens
    if free_bytes is None or (
        sequences * tokens_per_sequence * bytes_per_token <= free_bytes * _SHARE
    ):
        return EngineCapacity(sequences, context, tuple(notes))
    tokens = int(free_bytes * _SHARE) // bytes_per_token
    sequences = min(sequences, max(1, tokens // tokens_per_sequence))
    if sequences == 1:
        tokens = max(0, tokens - extra_tokens)
        context = min(context, max(_MIN_CONTEXT, tokens - tokens % _MIN_CONTEXT))
    notes.append(
        f"memory is short ({format_size(free_bytes)} free): serving {sequences} sequences at once "
        f"with a context of {context} tokens"
    )
    return EngineCapacity(sequences, context, tuple(notes))


def high_water_mark(resident_bytes: int, free_bytes: int | None) -> int | None:
    """Returns the memory of the process from which on no request is queued.

    Args:
        resident_bytes: Current memory of the process, in bytes.
        free_bytes: Free memory in bytes, or None if unknown.

    Returns:
        Bytes, or None if the free memory is unknown.
    """
    return None if free_bytes is None else resident_bytes + int(free_bytes * _MAX_SHARE)


def available_memory() -> int | None:
    """Returns the free memory in bytes: the minimum of /proc/meminfo and the cgroup; or None."""
    limits = [limit for limit in (_free_by_kernel(), _free_by_cgroup()) if limit is not None]
    return min(limits, default=None)


def _free_by_kernel() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _free_by_cgroup() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = (_CGROUP / "memory.current").read_text().strip()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))
