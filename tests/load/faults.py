"""What breaks: clients, the server, the engine, the disk; and what it costs the others."""

import asyncio
import contextlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

from friendli import SyncFriendli
from friendli.models import FriendliError
from friendli.utils import BackoffStrategy, RetryConfig
from tests.cli.file_server import FileServer
from tests.contract.live import environment, until
from tests.contract.served import served
from tests.load.traffic import Traffic, alone, asked, told

__all__ = ["FAULTS"]

Told = dict[str, Any]
FLAGS = ("--context", "1024")
RUNNING = "friendli_running_choices "
PATIENCE = 60.0


def killed_clients(count: int = 6) -> Told:
    """Processes that read streams of two choices are killed; their places are free at once."""
    with served(*FLAGS) as endpoint:
        (before,) = asyncio.run(alone(endpoint.address, range(1)))
        command = [sys.executable, "-m", "tests.load.dying", endpoint.address]
        clients = [
            subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())
            for _ in range(count)
        ]
        for client in clients:
            assert client.stdout is not None and client.stdout.readline() == b"alive\n"
        until(lambda: _running(endpoint.address) == 2 * count, PATIENCE, "all of them run")
        killed = time.monotonic()
        for client in clients:
            client.kill()
        until(lambda: _running(endpoint.address) == 0, PATIENCE, "every place is free")
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


def killed_server(count: int = 8) -> Told:
    """The server is killed under load; clients hear of it, and their retries meet the next one."""
    outcomes: Counter[str] = Counter()
    with served(*FLAGS) as endpoint:
        port, address = endpoint.port, endpoint.address
        flowing = threading.Barrier(count + 1)

        def read() -> str:
            with SyncFriendli("", server_url=address) as client:
                try:
                    for number, _event in enumerate(_long_stream(client)):
                        if number == 1:
                            flowing.wait(PATIENCE)
                except FriendliError as error:
                    return type(error).__name__
            return "no error"

        with ThreadPoolExecutor(count) as pool:
            streams = [pool.submit(read) for _ in range(count)]
            flowing.wait(PATIENCE)
            endpoint.process.kill()
            outcomes.update(stream.result() for stream in streams)
    with ThreadPoolExecutor(count) as pool:
        retried = [pool.submit(_retry, address) for _ in range(count)]
        with served(*FLAGS, port=port):
            finished = sum(each.result() == "stop or length" for each in retried)
    return {
        "streams interrupted": count,
        "errors": dict(outcomes),
        "retries started during the outage": count,
        "of these successful after the restart": finished,
    }


def failing_engine(count: int = 8) -> Told:
    """The engine fails twice under load; who ran hears of it, and the rest is answered rightly."""
    with served(*FLAGS) as sound:
        expected = asyncio.run(alone(sound.address, range(count)))
    program = ("-m", "tests.load.faulty")
    with served(*FLAGS, program=program, FAULTS="9,40") as endpoint:
        answers = asyncio.run(_ask_twice(endpoint.address, count))
        with httpx2.Client(trust_env=False) as client:
            health = client.get(endpoint.address + "/health").status_code
    failed = [each for each in answers if isinstance(each[1], int)]
    right = [each == expected[number] for number, each in answers if not isinstance(each, int)]
    return {
        "requests": len(answers),
        "failed with a 500": sum(status == 500 for _, status in failed),
        "failed with another status": sum(status != 500 for _, status in failed),
        "completed": len(right),
        "of these wrong": right.count(False),
        "status of /health at the end": health,
    }


def full_disk() -> Told:
    """A disk fills in the middle of `pull`; with room, the same command goes on from there."""
    content = b"GGUF" + bytes(24 << 20)
    server = FileServer(content)
    with tempfile.TemporaryDirectory() as folder:
        filler = Path(folder) / "filler"
        disk = _mount(folder, "32m")
        server.halfway = lambda: _fill(filler) if disk else None
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


FAULTS: Mapping[str, Callable[[], Told]] = {
    "clients killed": killed_clients,
    "server killed": killed_server,
    "engine failing": failing_engine,
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
    """A whole answer, asked for until there is one."""
    backoff = BackoffStrategy(100, 1000, 1.5, int(PATIENCE * 1000))
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
    """All at once, and all at once again: an answer each, or the status of its error."""
    async with Traffic(address) as traffic:

        async def ask(number: int) -> tuple[int, Any]:
            response = await traffic.post(json.dumps(asked(number)).encode())
            good = response.status_code == 200
            return number, told(response.json()) if good else response.status_code

        first = await asyncio.gather(*map(ask, range(count)))
        return [*first, *await asyncio.gather(*map(ask, range(count)))]


def _mount(folder: str, size: str) -> bool:
    """Puts a disk in memory on a folder; whether this user may."""
    if shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _fill(path: Path) -> None:
    """Writes until there is no room."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))


def _pull(url: str, folder: str, bound: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """Brings a file, by a process that may write no more than so many bytes of it."""
    command = ["-m", "friendli_endpoint.cli", "pull", f"{url}/model.gguf", "--to", folder]
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        env=environment(),
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bound, bound)))
        if bound
        else None,
        timeout=PATIENCE,
        check=False,
    )
