"""How much fits into memory."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friendli_endpoint.engine.llama import capacity
from friendli_endpoint.engine.llama.capacity import (
    Capacity,
    available_memory,
    available_threads,
    fit,
)

MIB = 1 << 20


def test_what_fits_is_served_as_asked() -> None:
    asked = fit(16, 4096, train_context=8192, bytes_per_token=1024, free=100 * 1024 * MIB)
    assert asked == Capacity(16, 4096)


def test_memory_that_is_not_known_bounds_nothing() -> None:
    assert fit(16, 4096, train_context=8192, bytes_per_token=MIB, free=None) == Capacity(16, 4096)


def test_a_context_beyond_the_model_is_lowered_and_said() -> None:
    fitted = fit(2, 8192, train_context=2048, bytes_per_token=1, free=None)
    assert (fitted.sequences, fitted.context) == (2, 2048)
    assert len(fitted.notes) == 1 and "2048" in fitted.notes[0]


def test_sequences_are_given_up_before_context() -> None:
    # 80 of 100 MiB, at 10 MiB a sequence.
    fitted = fit(16, 1024, train_context=1024, bytes_per_token=10 * 1024, free=100 * MIB)
    assert (fitted.sequences, fitted.context) == (8, 1024)
    assert len(fitted.notes) == 1 and "100 MiB" in fitted.notes[0]


def test_one_sequence_gives_up_context_down_to_a_bound() -> None:
    fitted = fit(4, 4096, train_context=4096, bytes_per_token=1024, free=MIB)
    assert (fitted.sequences, fitted.context) == (1, 768)
    assert fit(4, 4096, train_context=4096, bytes_per_token=1024, free=0).context == 256


def test_a_context_below_the_bound_stays() -> None:
    assert fit(4, 100, train_context=4096, bytes_per_token=1024, free=0).context == 100


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 64),
    st.integers(1, 1 << 17),
    st.integers(1, 1 << 17),
    st.integers(1, 1 << 20),
    st.integers(0, 1 << 40),
    st.integers(0, 512),
)
def test_never_more_than_asked_nor_than_there_is(
    sequences: int, context: int, train_context: int, bytes_per_token: int, free: int, beside: int
) -> None:
    fitted = fit(
        sequences,
        context,
        train_context=train_context,
        bytes_per_token=bytes_per_token,
        free=free,
        beside=beside,
    )
    assert 1 <= fitted.sequences <= sequences
    assert 1 <= fitted.context <= min(context, train_context)
    used = fitted.sequences * (fitted.context + beside) * bytes_per_token
    assert used <= 0.8 * free or (fitted.sequences == 1 and fitted.context <= 256)
    lowered = (fitted.sequences, fitted.context) != (sequences, context)
    assert bool(fitted.notes) or not lowered


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for what the kernel says of memory; empty."""
    monkeypatch.setattr(capacity, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path)
    return tmp_path


def test_where_nothing_is_said_nothing_is_known(machine: Path) -> None:
    assert available_memory() is None
    (machine / "meminfo").write_text("MemTotal: 8 kB\n")
    assert available_memory() is None


def test_the_kernel_says_what_is_available(machine: Path) -> None:
    (machine / "meminfo").write_text("MemTotal: 8 kB\nMemFree: 1 kB\nMemAvailable:   5 kB\n")
    assert available_memory() == 5 * 1024


@pytest.mark.parametrize(
    ("limit", "used", "free"), [("4096", "1024", 3072), ("4096", "5000", 0), ("max", "7", 5 * 1024)]
)
def test_the_control_group_bounds_it(machine: Path, limit: str, used: str, free: int) -> None:
    (machine / "meminfo").write_text("MemAvailable:   5 kB\n")
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text(f"{used}\n")
    assert available_memory() == free


def test_there_is_a_processor() -> None:
    assert available_threads() >= 1
