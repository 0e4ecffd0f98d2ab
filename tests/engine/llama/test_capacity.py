"""Capacity for a given amount of memory, and detection of free memory and processors."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.llama import capacity
from friendli_endpoint.engine.llama.capacity import (
    EngineCapacity,
    available_memory,
    fit,
    high_water_mark,
)

MIB = 1 << 20


def test_a_capacity_that_fits_is_not_lowered() -> None:
    fitted = fit(16, 4096, train_context=8192, bytes_per_token=1024, free_bytes=100 * 1024 * MIB)
    assert fitted == EngineCapacity(16, 4096)


def test_unknown_memory_does_not_lower_the_capacity() -> None:
    assert fit(
        16, 4096, train_context=8192, bytes_per_token=MIB, free_bytes=None
    ) == EngineCapacity(16, 4096)


def test_a_context_beyond_the_training_context_is_lowered_with_a_note() -> None:
    fitted = fit(2, 8192, train_context=2048, bytes_per_token=1, free_bytes=None)
    assert (fitted.sequences, fitted.context) == (2, 2048)
    assert len(fitted.notes) == 1 and "2048" in fitted.notes[0]


def test_the_number_of_sequences_is_lowered_before_the_context() -> None:
    # 80 of 100 MiB are usable, and a sequence takes 10 MiB.
    fitted = fit(16, 1024, train_context=1024, bytes_per_token=10 * 1024, free_bytes=100 * MIB)
    assert (fitted.sequences, fitted.context) == (8, 1024)
    assert len(fitted.notes) == 1 and "105 MB" in fitted.notes[0]


def test_the_context_of_one_sequence_is_lowered_to_256_tokens_at_least() -> None:
    fitted = fit(4, 4096, train_context=4096, bytes_per_token=1024, free_bytes=MIB)
    assert (fitted.sequences, fitted.context) == (1, 768)
    assert fit(4, 4096, train_context=4096, bytes_per_token=1024, free_bytes=0).context == 256


def test_a_requested_context_below_256_tokens_is_kept() -> None:
    assert fit(4, 100, train_context=4096, bytes_per_token=1024, free_bytes=0).context == 100


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 1 << 17),
    st.integers(1, 1 << 17),
    st.integers(1, 1 << 20),
    st.integers(0, 1 << 40),
    st.integers(0, 512),
)
def test_the_capacity_never_exceeds_the_request_or_the_memory(
    sequences: int,
    context: int,
    train_context: int,
    bytes_per_token: int,
    free: int,
    extra_tokens: int,
) -> None:
    fitted = fit(
        sequences,
        context,
        train_context=train_context,
        bytes_per_token=bytes_per_token,
        free_bytes=free,
        extra_tokens=extra_tokens,
    )
    assert 1 <= fitted.sequences <= sequences
    assert 1 <= fitted.context <= min(context, train_context)
    used = fitted.sequences * (fitted.context + extra_tokens) * bytes_per_token
    assert used <= 0.8 * free or (fitted.sequences == 1 and fitted.context <= 256)
    lowered = (fitted.sequences, fitted.context) != (sequences, context)
    assert bool(fitted.notes) or not lowered


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of /proc/meminfo and the cgroup folder."""
    monkeypatch.setattr(capacity, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path)
    return tmp_path


def test_free_memory_is_unknown_without_memavailable(machine: Path) -> None:
    assert available_memory() is None
    (machine / "meminfo").write_text("MemTotal: 8 kB\n")
    assert available_memory() is None


def test_free_memory_is_read_from_meminfo(machine: Path) -> None:
    (machine / "meminfo").write_text("MemTotal: 8 kB\nMemFree: 1 kB\nMemAvailable:   5 kB\n")
    assert available_memory() == 5 * 1024


@pytest.mark.parametrize(
    ("limit", "used", "free"), [("4096", "1024", 3072), ("4096", "5000", 0), ("max", "7", 5 * 1024)]
)
def test_the_cgroup_limit_lowers_the_free_memory(
    machine: Path, limit: str, used: str, free: int
) -> None:
    (machine / "meminfo").write_text("MemAvailable:   5 kB\n")
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text(f"{used}\n")
    assert available_memory() == free


def test_the_high_water_mark_leaves_a_tenth_of_the_free_memory() -> None:
    assert high_water_mark(100 * MIB, 1000 * MIB) == 1000 * MIB
    assert high_water_mark(100 * MIB, None) is None
