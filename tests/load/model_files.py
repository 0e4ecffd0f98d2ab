"""Serves mutated model files; each must work, or be rejected with an error message."""

import contextlib
import copy
import json
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from friendli_endpoint.engine.llama.model import find_embedded_model
from tests.contract.live import environment
from tests.load.forking_server import HUNG, REJECTED, SERVED
from tests.load.mutations import MUTATIONS, Mutation, mutate
from tests.support.gguf_edit import ARRAY, FORMATS, GgufDraft, number, text, texts
from tests.support.models.byte_pairs import LLAMA, QWEN_3, write_byte_pairs

__all__ = ["model_files"]

EMBEDDED_SHARE = 0.1
"""Share of the files made from the embedded model, which take a second or more each."""

MODEL_MUTATION_SHARE = 0.5
"""Share of the files that are valid GGUF files of an impossible or another model."""

UINT32 = 4
WORDS = ("a", "", "Ġa", "a b", "ü", "<|im_end|>", "x" * 300)
SIZES = (
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    15,
    16,
    17,
    31,
    32,
    33,
    64,
    255,
    256,
    257,
    512,
    513,
    600,
    4096,
    1 << 31,
)
PRE_TOKENIZERS = (
    "default",
    "llama-bpe",
    "qwen2",
    "deepseek-llm",
    "falcon",
    "gpt-4o",
    "tekken",
    "smollm",
)
TEMPLATES = (
    "",
    "{{ messages }}",
    "{% for %}",
    "{{ 1 / 0 }}",
    "{% for x in range(10**9) %}{% endfor %}",
)


def _another_size(draft: GgufDraft, draw: random.Random) -> None:
    """Replaces a size of the model or a token id."""
    pairs = draft.pairs
    sizes = [index for index, pair in enumerate(pairs) if pair.kind == UINT32]
    if sizes:
        index = draw.choice(sizes)
        pairs[index] = number(pairs[index].key, UINT32, draw.choice(SIZES))


def _another_vocabulary(draft: GgufDraft, draw: random.Random) -> None:
    """Replaces tokens, merges, kinds or scores, with fewer or more entries."""
    listed = [pair for pair in draft.pairs if pair.kind == ARRAY and len(pair.value) > 11]
    if not listed:
        return
    pair = draw.choice(listed)
    if draw.random() < 0.5:
        words = [draw.choice(WORDS) for _ in range(draw.choice((0, 1, 350, 1000)))]
        pair.value = texts(pair.key, *words).value
    else:
        kind = draw.choice((4, 5, 6))
        values = [draw.randrange(9) for _ in range(draw.choice((0, 1, 350, 1000)))]
        packed = struct.pack(f"<{len(values)}{FORMATS[kind]}", *values)
        pair.value = struct.pack("<IQ", kind, len(values)) + packed


def _another_text(draft: GgufDraft, draw: random.Random) -> None:
    """Replaces the pre-tokenizer, tokenizer model, chat template or architecture."""
    key, value = draw.choice(
        (
            ("tokenizer.ggml.pre", draw.choice(PRE_TOKENIZERS)),
            ("tokenizer.ggml.model", draw.choice(("llama", "bert", "t5", "rwkv", "none"))),
            ("tokenizer.chat_template", draw.choice(TEMPLATES)),
            ("general.architecture", draw.choice(("llama", "qwen2", "gemma3", "t5", "mamba"))),
        )
    )
    draft.pairs = [pair for pair in draft.pairs if pair.key != key] + [text(key, value)]


MODEL_MUTATIONS: Mapping[str, Mutation] = {
    "another size": _another_size,
    "another vocabulary": _another_vocabulary,
    "another text": _another_text,
}

OUTCOMES = {SERVED: "served", REJECTED: "rejected", HUNG: "hung"}


def model_files(cases: int, embedded: float = EMBEDDED_SHARE) -> dict[str, Any]:
    """Serves each mutated file, and checks it as `doctor` does.

    Args:
        cases: Number of files.
        embedded: Share of the files that are the embedded model with another header.
    """
    found: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder, _forking_server() as server:
        sources = _sources(Path(folder))
        path = Path(folder) / "case.gguf"
        for case in range(cases):
            draw = random.Random(case)
            of_embedded = draw.random() < embedded
            source = sources[-1] if of_embedded else draw.choice(sources[:-1])
            draft = copy.deepcopy(source)
            mutations = MODEL_MUTATIONS if draw.random() < MODEL_MUTATION_SHARE else MUTATIONS
            names = mutate(draft, mutations, draw, laid_out=0.0 if of_embedded else 0.5)
            draft.write(path)
            begun = time.monotonic()
            code, output = _serve(server, path)
            slowest = max(slowest, time.monotonic() - begun)
            agreed = output.rstrip().endswith("doctor: ok" if code == SERVED else "doctor: problem")
            outcome = OUTCOMES.get(code, "ended abnormally")
            found[outcome] += 1
            found["doctor agrees"] += agreed
            if outcome not in ("served", "rejected") or not agreed:
                print(f"model_files: case {case}, {names}: {code} {output}", file=sys.stderr)
    counted = ("served", "rejected", "hung", "ended abnormally", "doctor agrees")
    return {
        "files": cases,
        **{name: found[name] for name in counted},
        "slowest, seconds": round(slowest, 2),
    }


def _sources(folder: Path) -> list[GgufDraft]:
    """Returns small models of two families, and the embedded model at the end."""
    written = [
        write_byte_pairs(folder / f"{family.architecture}.gguf", family)
        for family in (LLAMA, QWEN_3)
    ]
    return [GgufDraft.read(path) for path in (*written, find_embedded_model())]


@contextlib.contextmanager
def _forking_server() -> Iterator[subprocess.Popen[str]]:
    """Runs `tests.load.forking_server` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.load.forking_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        process.communicate()


def _serve(server: subprocess.Popen[str], path: Path) -> tuple[int, str]:
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(f"{path}\n")
    server.stdin.flush()
    code, output = json.loads(server.stdout.readline())
    return code, output
