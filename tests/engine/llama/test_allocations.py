"""Failed allocations are found in llama.cpp's log."""

import logging

import pytest

from friendli_endpoint.engine.llama.allocations import allocation_failure, watch_allocations

LOG = logging.getLogger("friendli_endpoint.llama")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "ggml_aligned_malloc: insufficient memory (attempted to allocate  19.73 MB)",
            "insufficient memory (attempted to allocate 19.73 MB)",
        ),
        (
            "alloc: failed to allocate buffer of size 1",
            "failed to allocate buffer of size 1",
        ),
        ("terminate\n  what():  std::bad_alloc\n", "std::bad_alloc"),
        ("mmap failed: Cannot allocate memory", "Cannot allocate memory"),
        ("error loading model: missing tensor 'output_norm.weight'", None),
        ("print_info: no_alloc = 0", None),
    ],
)
def test_only_failed_allocations_are_found(line: str, found: str | None) -> None:
    assert allocation_failure(line) == found


def test_the_first_failed_allocation_is_kept() -> None:
    with watch_allocations() as failures:
        LOG.debug("failed to allocate 0")
        LOG.error("missing tensor")
        assert failures.first is None
        LOG.error("failed to allocate %d", 1)
        LOG.error("failed to allocate 2")
    LOG.error("failed to allocate 3")
    assert failures.first == "failed to allocate 1"
