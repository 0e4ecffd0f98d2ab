"""CPU time and memory of a server's processes."""

import os
import subprocess
import sys

from friendli_endpoint.bench.processes import Memory, memory, process_cpu_seconds, process_tree

PARENT = """
import subprocess, sys
child = "import time; end = time.process_time() + 0.2\\nwhile time.process_time() < end: pass\\n"
child += "data = bytearray(64 << 20); print(flush=True); input()"
with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE) as process:
    input()
    process.communicate(b"\\n")
"""


def test_the_descendants_of_a_process_are_measured_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        if sys.platform == "linux":
            first, *descendants = process_tree(parent.pid)
            assert first == parent.pid
            (child,) = descendants
            assert process_cpu_seconds(child) >= 0.19
            used = memory([child])
            assert 64 << 20 <= used.proportional <= used.resident
            both = memory([child, parent.pid])
            assert both.proportional > used.proportional and both.resident > used.resident
        parent.communicate(b"\n", timeout=60)
    assert process_tree(os.getpid())[0] == os.getpid()


def test_a_process_that_has_ended_has_no_time_and_no_memory() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_tree(process.pid) == [process.pid]
    assert process_cpu_seconds(process.pid) == 0
    assert memory([process.pid]) == Memory(0, 0)
