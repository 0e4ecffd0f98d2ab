"""Loads mutated adapter files into a real endpoint while a stream runs."""

import copy
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from friendli_endpoint.engine.llama.gguf.reading import read_header
from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.contract.live import COMPLETIONS, Live
from tests.contract.served import Served, served
from tests.load.mutations import MUTATIONS, lay_out, mutate
from tests.support.gguf_edit import GgufDraft, number, text, texts
from tests.support.lora import write_loras

__all__ = ["adapter_files"]

PATH = "/dedicated/v1/adapters"
TIMEOUT_SECONDS = 60.0
"""Timeout of a request; an answer that takes longer counts as hung."""

RANKS = (0, 1, 2, 7, 32, 64, 256, 1024, 2**32)
FIRST, SECOND = ".lora_a", ".lora_b"
STREAM = {"seed": 3, "max_tokens": 40, "min_tokens": 40}


class _Targets:
    """Mutations that depend on the tensors of the model."""

    def __init__(self, model: Path) -> None:
        self._shapes = {tensor.name: tensor.shape for tensor in read_header(model).tensors}

    def another_target(self, draft: GgufDraft, draw: random.Random) -> None:
        """Targets another tensor, with a shape that fits it or with the previous shape."""
        name = draw.choice(list(self._shapes))
        shape = (*self._shapes[name], 1)[:2]
        fits = draw.random() < 0.8
        for tensor, suffix in zip(draft.tensors[:2], (FIRST, SECOND), strict=False):
            tensor.name = name + suffix
            if fits:
                tensor.shape = [shape[0], 4] if suffix == FIRST else [4, shape[1]]
        lay_out(draft, draw)

    def embeddings(self, draft: GgufDraft, draw: random.Random) -> None:
        """Targets the embeddings, with their dimensions in either order."""
        width, vocabulary = self._shapes["token_embd.weight"]
        lookup = draw.random() < 0.5
        shapes = ([4, vocabulary], [4, width]) if lookup else ([width, 4], [4, vocabulary])
        for tensor, suffix, shape in zip(draft.tensors, (FIRST, SECOND), shapes, strict=False):
            tensor.name, tensor.shape = "token_embd.weight" + suffix, shape
        del draft.tensors[2:]
        lay_out(draft, draw)


def _another_rank(draft: GgufDraft, draw: random.Random) -> None:
    rank = draw.choice(RANKS)
    for tensor in draft.tensors:
        tensor.shape[tensor.name.endswith(FIRST)] = rank
    lay_out(draft, draw)


def _another_architecture(draft: GgufDraft, draw: random.Random) -> None:
    name = draw.choice(("qwen2", "gemma3", "LLAMA", "clip", "", "no such"))
    draft.pairs.append(text("general.architecture", name))
    draft.pairs.pop(0)


def _more_keys(draft: GgufDraft, draw: random.Random) -> None:
    key = draw.choice(
        ("adapter.alora.invocation_tokens", "adapter.lora.task_name", "adapter.lora.prompt_prefix")
    )
    value = draw.choice((text(key, "a"), texts(key, "a", "b"), number(key, 4, 7)))
    draft.pairs.append(value)


def adapter_files(cases: int, model: Path | None = None) -> dict[str, Any]:
    """Loads each mutated adapter; if it is accepted, uses and unloads it.

    Args:
        cases: Number of files.
        model: GGUF file to serve; the embedded model by default.
    """
    path = model or find_embedded_model()
    # One thread: two threads that wait for each other would slow down a trial many times.
    flags = ("--model", str(path), "--context", "512", "--max-sequences", "4", "--threads", "1")
    with tempfile.TemporaryDirectory() as folder:
        (lora,) = write_loras(Path(folder), path, range(1))
        with served(*flags, "--adapter-dir", folder) as endpoint:
            return _load_all(endpoint, cases, path, lora)


def _load_all(endpoint: Served, cases: int, model: Path, lora: Path) -> dict[str, Any]:
    good = GgufDraft.read(lora)
    targets = _Targets(model)
    mutations = {
        **MUTATIONS,
        "another target": targets.another_target,
        "embeddings": targets.embeddings,
        "another rank": _another_rank,
        "another architecture": _another_architecture,
        "more keys": _more_keys,
    }
    found: Counter[str] = Counter()
    slowest = 0.0
    background = _BackgroundStream(endpoint.address)
    with httpx2.Client(
        base_url=endpoint.address, timeout=TIMEOUT_SECONDS, trust_env=False
    ) as client:
        for case in range(cases):
            draw, draft = random.Random(case), copy.deepcopy(good)
            names = mutate(draft, mutations, draw)
            draft.write(lora.with_name("case.gguf"))
            begun = time.monotonic()
            outcome = _load_one(client)
            slowest = max(slowest, time.monotonic() - begun)
            found[outcome] += 1
            if outcome == "failed":
                print(f"adapter_files: case {case} failed: {names}", file=sys.stderr)
    streams, wrong = background.end()
    return {
        "files": cases,
        **{name: found[name] for name in ("rejected", "accepted and used", "failed")},
        "concurrent streams": streams,
        "of these wrong": wrong,
        "slowest, seconds": round(slowest, 2),
        "the process is still running": endpoint.process.poll() is None,
    }


def _load_one(client: httpx2.Client) -> str:
    """Loads and uses one file; returns `rejected`, `accepted and used` or `failed`."""
    loaded = client.post(PATH, json={"route": "case", "file": "case.gguf"})
    if loaded.status_code != 201:
        return "rejected" if loaded.json()["error"]["code"] == "adapter_refused" else "failed"
    body = {
        "model": "m:case",
        "messages": [{"role": "user", "content": "A prompt of some words. " * 4}],
        "max_tokens": 4,
        "n": 2,
    }
    complete = client.post(COMPLETIONS, json=body)
    streamed = client.post(COMPLETIONS, json={**body, "stream": True})
    unloaded = client.delete(f"{PATH}/case")
    good = [answer.status_code for answer in (complete, streamed, unloaded)] == [200, 200, 200]
    done = streamed.text.rstrip().endswith("data: [DONE]")
    return "accepted and used" if good and done else "failed"


class _BackgroundStream:
    """Requests one stream after another; each must equal the first, which ran alone."""

    def __init__(self, address: str) -> None:
        self._live = Live(address)
        self._expected = self._live.stream(**STREAM).answer()
        self._right: list[bool] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                answer = self._live.stream(**STREAM).answer()
            except (httpx2.HTTPError, AssertionError):
                self._right.append(False)
            else:
                self._right.append(answer == self._expected)

    def end(self) -> tuple[int, int]:
        """Stops, and returns the number of streams and the number of wrong ones."""
        self._ended.set()
        self._thread.join()
        return len(self._right), self._right.count(False)
