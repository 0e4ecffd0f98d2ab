"""Memory that was freed goes back to the operating system."""

from pathlib import Path

from friendli_endpoint.heap import trim_heap


def resident() -> int:
    """Returns the resident memory of this process in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def test_trimming_lowers_the_resident_memory() -> None:
    blocks = [bytes(2_000) for _ in range(20_000)]
    kept = blocks[-1]
    full = resident()
    del blocks
    trim_heap()
    assert len(kept) == 2_000
    assert full - resident() > 20_000_000 // 4096
