"""Servers that are started: ours and llama.cpp's on the embedded model, and one that fails."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from friendli_endpoint.bench.servers import Capacity, Server, ours, peer
from friendli_endpoint.bench.wire import BenchError
from friendli_endpoint.engine.llama.engine import locate

Start = Callable[..., AbstractContextManager[Server]]
SMALL = Capacity(sequences=1, context=256, threads=1)


@pytest.mark.model
@pytest.mark.parametrize(
    "start",
    [
        partial(ours, capacity=SMALL, flags=("--log-level", "error")),
        partial(peer, "llama.cpp-no-flash", capacity=SMALL),
    ],
)
def test_a_started_server_answers_tells_its_memory_and_ends(start: Start) -> None:
    with start(model=locate(None)) as server:
        memory = server.peak_memory()
        assert memory is None or memory > 1 << 20
        asked = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        assert httpx2.post(server.url, json=asked, timeout=60).is_success
    with pytest.raises(ProcessLookupError):
        os.kill(server.process, 0)


@pytest.mark.model
def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF, not")
    with pytest.raises(BenchError, match=r"friendli-endpoint does not start: .*broken"):
        with ours(broken, SMALL, ()):
            pass
