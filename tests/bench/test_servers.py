"""Started servers: this endpoint and llama.cpp's on the embedded model, and one that fails."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from friendli_endpoint.bench.servers import Server, ServerCapacity, ours, peer
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.engine.llama.engine import locate

Start = Callable[..., AbstractContextManager[Server]]
SMALL = ServerCapacity(sequences=1, context=256, threads=1)


@pytest.mark.model
@pytest.mark.parametrize(
    "start",
    [
        partial(ours, capacity=SMALL, flags=("--log-level", "error")),
        partial(peer, "llama.cpp-no-flash", capacity=SMALL),
    ],
)
def test_a_started_server_answers_reports_its_memory_and_is_stopped(start: Start) -> None:
    with start(model=locate(None)) as server:
        memory = server.peak_memory()
        assert memory is None or memory > 1 << 20
        body = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        assert httpx2.post(server.url, json=body, timeout=60).is_success
    with pytest.raises(ProcessLookupError):
        os.kill(server.process_id, 0)


@pytest.mark.model
def test_the_last_error_line_of_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, not")
    with pytest.raises(BenchError, match=r"friendli-endpoint does not start: .*broken"):
        with ours(broken, SMALL, ()):
            pass
