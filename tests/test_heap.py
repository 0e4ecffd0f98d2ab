"""Memory that was freed goes back to the operating system."""

import subprocess
import sys
from pathlib import Path

from friendli_endpoint.heap import trim_heap

ALLOCATING = """
import ctypes, pathlib, threading
from friendli_endpoint.heap import limit_heaps
LIMIT
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
addresses, together = [], threading.Barrier(8)

def allocate():
    together.wait()
    addresses.append(library.malloc(1000))
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len({address >> 26 for address in addresses}))
"""
"""Prints how many regions of 64 MiB, which heaps are aligned to, 8 threads allocate from."""


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


def test_threads_share_the_heaps_of_a_process() -> None:
    def num_heaps(limit: str) -> int:
        program = ALLOCATING.replace("LIMIT", limit)
        return int(subprocess.check_output([sys.executable, "-c", program], timeout=60))

    assert num_heaps("limit_heaps()") <= 2 < num_heaps("")
