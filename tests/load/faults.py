"""Faults of clients, the server, the engine and the disk, and their effect on other requests."""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

from friendli import SyncFriendli
from friendli.models import FriendliError
from friendli.utils import BackoffStrategy, RetryConfig
from tests.cli.file_server import FileServer
from tests.contract.live import environment, until
from tests.contract.served import Served, served
from tests.load.traffic import Traffic, alone, comparable, request_of
from tests.scale.engines import engine_pids
from tests.scale.streams import Clients

__all__ = ["FAULTS", "fill", "mount"]

Result = dict[str, Any]
FLAGS = ("--context", "1024")
RUNNING = "friendli_running_choices "
TIMEOUT_SECONDS = 60.0


def killed_clients(*flags: str, count: int = 6) -> Result:
    """Kills processes that read streams of two choices; their sequences are freed at once."""
    with served(*FLAGS, *flags) as endpoint:
        (before,) = asyncio.run(alone(endpoint.address, range(1)))
        command = [sys.executable, "-m", "tests.load.dying", endpoint.address]
        clients = [
            subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
            for _ in range(count)
        ]
        for client in clients:
            assert client.stdout is not None and client.stdout.readline() == b"alive\n"
        until(lambda: _running(endpoint.address) == 2 * count, TIMEOUT_SECONDS, "all choices run")
        killed = time.monotonic()
        for client in clients:
            client.kill()
        until(lambda: _running(endpoint.address) == 0, TIMEOUT_SECONDS, "no choice runs")
        freed = time.monotonic() - killed
        for client in clients:
            client.wait()
            assert client.stdout is not None
            client.stdout.close()
        (after,) = asyncio.run(alone(endpoint.address, range(1)))
    return {
        "clients killed": count,
        "running choices": 2 * count,
        "seconds until all slots were free": round(freed, 2),
        "the next response is correct": after == before,
    }


def killed_server(*flags: str, count: int = 8) -> Result:
    """Kills the server under load; clients get an error, and retries reach the restarted server."""
    outcomes: Counter[str] = Counter()
    with served(*FLAGS, *flags) as endpoint:
        port, address = endpoint.port, endpoint.address
        flowing = threading.Barrier(count + 1)

        def read() -> str:
            with SyncFriendli("", server_url=address) as client:
                try:
                    for number, _event in enumerate(_long_stream(client)):
                        if number == 1:
                            flowing.wait(TIMEOUT_SECONDS)
                except FriendliError as error:
                    return type(error).__name__
            return "no error"

        with ThreadPoolExecutor(count) as pool:
            streams = [pool.submit(read) for _ in range(count)]
            flowing.wait(TIMEOUT_SECONDS)
            endpoint.process.kill()
            outcomes.update(stream.result() for stream in streams)
    with ThreadPoolExecutor(count) as pool:
        retried = [pool.submit(_retry, address) for _ in range(count)]
        with served(*FLAGS, *flags, port=port):
            finished = sum(retry.result() == "stop or length" for retry in retried)
    return {
        "streams interrupted": count,
        "errors": dict(outcomes),
        "retries started during the outage": count,
        "of these successful after the restart": finished,
    }


def failing_engine(*flags: str, count: int = 8) -> Result:
    """Lets the engine fail twice under load; only running requests fail, the rest is correct."""
    with served(*FLAGS, *flags) as healthy:
        expected = asyncio.run(alone(healthy.address, range(count)))
    program = ("-m", "tests.load.faulty")
    with served(*FLAGS, *flags, program=program, FAULTS="9,40") as endpoint:
        answers = asyncio.run(_ask_twice(endpoint.address, count))
        with httpx2.Client(trust_env=False) as client:
            health = client.get(endpoint.address + "/health").status_code
    failed = [answer for answer in answers if isinstance(answer[1], int)]
    right = [
        answer == expected[number] for number, answer in answers if not isinstance(answer, int)
    ]
    return {
        "requests": len(answers),
        "failed with a 500": sum(status == 500 for _, status in failed),
        "failed with another status": sum(status != 500 for _, status in failed),
        "completed": len(right),
        "of these wrong": right.count(False),
        "status of /health at the end": health,
    }


def lost_engine(*flags: str, count: int = 8, seconds: float = 60.0) -> Result:
    """Kills the only engine, and each that is started within some time; streams go on after it."""
    with served(*FLAGS, *flags, "--engines", "1") as endpoint, ThreadPoolExecutor(1) as pool:
        numbers = range(0, 2 * count, 2)  # those of streams
        fields = {"model": "m"}
        expected = asyncio.run(Clients(endpoint.address).all(numbers, **fields))
        killing: list[Future[int]] = []

        def begin() -> None:
            if not killing:
                killing.append(pool.submit(_kill_all, endpoint, seconds))

        clients = Clients(endpoint.address, begin)
        answers = asyncio.run(clients.all(numbers, **fields))
        killed = killing[0].result()
    return {
        "seconds without an engine": seconds,
        "processes killed": killed,
        "streams": count,
        "of these with the same bytes, and no error": sum(map(dict.__eq__, answers, expected)),
        "comments": clients.comments,
        "longest silence of a stream, seconds": round(clients.silence, 1),
    }


def _kill_all(endpoint: Served, seconds: float) -> int:
    """Kills all engines of an endpoint for some time; returns their number."""
    killed: set[int] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in engine_pids(endpoint):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.1)
    return len(killed)


def full_disk() -> Result:
    """Fills the disk in the middle of `pull`; with free space, the same command resumes."""
    content = b"GGUF" + bytes(24 << 20)
    server = FileServer(content)
    with tempfile.TemporaryDirectory() as folder:
        filler = Path(folder) / "filler"
        disk = mount(folder, "32m")
        server.halfway = lambda: fill(filler) if disk else None
        try:
            first = _pull(server.url, folder, bound=None if disk else len(content) // 2)
            server.halfway = lambda: None
            filler.unlink(missing_ok=True)
            second = _pull(server.url, folder)
            whole = (Path(folder) / "model.gguf").read_bytes() == content
        finally:
            server.close()
            if disk:
                subprocess.run(["umount", folder], check=True)
    return {
        "method": "a disk of 32 MiB that is filled" if disk else "a limit on the file size",
        "exit codes": [first.returncode, second.returncode],
        "message": first.stderr.decode().strip().splitlines()[-1].replace(folder, "…"),
        "the second run requests only the rest": "range" in server.seen[-1][1],
        "the file is complete": whole,
    }


FAULTS: Mapping[str, Callable[[], Result]] = {
    "clients killed": killed_clients,
    "server killed": killed_server,
    "engine failing": failing_engine,
    "only engine lost": lost_engine,
    "disk full": full_disk,
}


def _running(address: str) -> int:
    with httpx2.Client(trust_env=False) as client:
        lines = client.get(address + "/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(RUNNING)]
    return int(float(line.removeprefix(RUNNING)))


def _long_stream(client: SyncFriendli) -> Any:
    return client.dedicated.chat.stream(
        model="m",
        messages=[{"role": "user", "content": "Tell me everything."}],
        min_tokens=900,
        max_tokens=900,
    )


def _retry(address: str) -> str:
    """Requests a completion with retries until it succeeds; returns its finish reason."""
    backoff = BackoffStrategy(100, 1000, 1.5, int(TIMEOUT_SECONDS * 1000))
    with SyncFriendli("", server_url=address) as client:
        answer = client.dedicated.chat.complete(
            model="m",
            messages=[{"role": "user", "content": "Hello!"}],
            max_tokens=8,
            retries=RetryConfig("backoff", backoff, retry_connection_errors=True),
        )
    finish = answer.choices[0].finish_reason
    return "stop or length" if finish in ("stop", "length") else str(finish)


async def _ask_twice(address: str, count: int) -> list[tuple[int, Any]]:
    """Sends all requests concurrently, twice; returns number and answer or error status of each."""
    async with Traffic(address) as traffic:

        async def ask(number: int) -> tuple[int, Any]:
            response = await traffic.post(json.dumps(request_of(number)).encode())
            good = response.status_code == 200
            return number, comparable(response.json()) if good else response.status_code

        first = await asyncio.gather(*map(ask, range(count)))
        return [*first, *await asyncio.gather(*map(ask, range(count)))]


def mount(folder: str, size: str) -> bool:
    """Mounts a tmpfs on a folder; returns whether this user may.

    Args:
        folder: The folder.
        size: Its size, such as `32m`; may be followed by other options, separated by commas.
    """
    if shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def fill(path: Path) -> None:
    """Writes to a file until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


def _pull(url: str, folder: str, bound: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """Runs `pull` in a process, with a limit on the size of written files if `bound` is given."""
    command = ["-m", "friendli_endpoint.cli", "pull", f"{url}/model.gguf", "--to", folder]
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        env=environment(),
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bound, bound)))
        if bound
        else None,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
