"""How many sequences of how many tokens fit into memory."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Capacity", "available_memory", "available_threads", "fit"]

_SHARE = 0.8
"""Of the free memory, what the key-value caches may take; the rest is for buffers and others."""

_SMALLEST_CONTEXT = 256
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is served at once.

    Attributes:
        sequences: Choices that run at the same time.
        context: Tokens each can hold.
        notes: Sentences that say what was lowered, and why.
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
    free: int | None,
    beside: int = 0,
) -> Capacity:
    """Lowers what was asked for to what the model knows and the memory holds.

    Args:
        sequences: Wanted number of sequences.
        context: Wanted tokens for each.
        train_context: Tokens the model was trained for.
        bytes_per_token: Key-value cache of one token, in bytes.
        free: Free memory in bytes, or None where it is not known.
        beside: Tokens that every sequence has room for beside its context.

    Returns:
        The capacity; its context is at least 256 tokens, whatever the memory.
    """
    notes: list[str] = []
    if context > train_context:
        notes.append(f"the context is {train_context} tokens: the model knows no longer one")
        context = train_context
    if free is None or sequences * (context + beside) * bytes_per_token <= free * _SHARE:
        return Capacity(sequences, context, tuple(notes))
    tokens = int(free * _SHARE) // bytes_per_token
    sequences = min(sequences, max(1, tokens // (context + beside)))
    if sequences == 1:
        tokens = max(0, tokens - beside)
        context = min(context, max(_SMALLEST_CONTEXT, tokens - tokens % _SMALLEST_CONTEXT))
    notes.append(
        f"memory is short ({free >> 20:,} MiB free): serving {sequences} at once "
        f"with a context of {context} tokens"
    )
    return Capacity(sequences, context, tuple(notes))


def available_memory() -> int | None:
    """Free memory in bytes, by the kernel and by the control group; None where neither says."""
    known = [each for each in (_free_by_kernel(), _free_by_cgroup()) if each is not None]
    return min(known, default=None)


def available_threads() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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
