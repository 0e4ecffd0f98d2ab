"""Memory that idle connections cost: `python -m benchmarks.endpoint.idle [CONNECTIONS]`.

Starts an endpoint, opens connections of three kinds (silent, kept alive after an answer, and with a
request that is half sent), and prints what each adds to the resident memory of the process.
"""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

KINDS = {
    "silent": b"",
    "half a request": b"POST /dedicated/v1/chat/completions HTTP/1.1\r\nhost: here\r\n",
    "kept alive": b"GET /live HTTP/1.1\r\nhost: here\r\n\r\n",
}
FLAGS = ["--port", "0", "--max-sequences", "2", "--receive-seconds", "600", "--log-level", "error"]


@contextlib.contextmanager
def endpoint() -> Iterator[tuple[int, int]]:
    """An endpoint; gives its process id and its port."""
    command = [sys.executable, "-m", "friendli_endpoint.cli", "serve", *FLAGS]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None, "the endpoint did not start"
        yield process.pid, int(found[1])
    finally:
        process.terminate()
        process.wait(30)


def resident(pid: int) -> int:
    """Resident memory of a process, in KiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def answers(port: int) -> bool:
    """Whether one more client is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(KINDS["kept alive"])
        return b"200" in connection.recv(1000)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with endpoint() as (pid, port):
        assert answers(port)
        for kind, sent in KINDS.items():
            before = resident(pid)
            with contextlib.ExitStack() as stack:
                for _ in range(count):
                    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
                    stack.enter_context(connection)
                    connection.sendall(sent)
                assert answers(port)
                after = resident(pid)
            print(f"{count} {kind}: {(after - before) / 1024:.1f} MiB of {after / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
