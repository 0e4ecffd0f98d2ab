"""The tokenizer of llama.cpp on texts that make it recurse."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from friendli_endpoint import deep_stack
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.generation import Refusal
from tests.contract.live import environment
from tests.support.pre_tokenizers import write_with_pre_tokenizer

NAMES = ("deepseek-llm", "deepseek-v3", "tekken", "bloom", "gpt-4o", "default", "smollm")
"""Of the 21 pre-tokenizers whose regular expressions recurse once a character of some run, those
that differ in which; and one that does not recurse."""


@pytest.mark.model
def test_long_runs_of_a_character_are_tokenised_by_every_pre_tokenizer(tmp_path: Path) -> None:
    paths = [
        str(write_with_pre_tokenizer(tmp_path / f"{name}.gguf", name, weights=False))
        for name in NAMES
    ]
    program = [sys.executable, "-m", "tests.engine.long_runs", *paths]
    done = subprocess.run(
        program, capture_output=True, text=True, env=environment(), timeout=200, check=False
    )
    assert done.stdout.splitlines() == paths, (done.returncode, done.stderr[-2000:])


def test_a_call_on_a_deep_stack_returns_or_raises_what_it_does() -> None:
    before = threading.stack_size()
    assert on_deep_stack(lambda: 3, 1 << 20) == 3
    assert on_deep_stack(lambda: threading.current_thread().name, 256 << 20) == "deep-stack"
    with pytest.raises(ZeroDivisionError):
        on_deep_stack(lambda: 1 // 0, 1 << 20)
    assert threading.stack_size() == before


def test_a_stack_for_which_there_is_no_address_space_is_refused() -> None:
    with pytest.raises(Refusal, match="no memory for a stack") as refused:
        on_deep_stack(lambda: 0, 1 << 50)
    assert refused.value.status == 503
    assert on_deep_stack(lambda: 1, 0) == 1


def test_very_deep_stacks_are_used_one_at_a_time() -> None:
    done = threading.Event()
    deep = deep_stack._SHARED_BYTES + 1
    waiting = threading.Thread(target=on_deep_stack, args=(done.set, deep), daemon=True)
    with deep_stack._deep:
        waiting.start()
        assert on_deep_stack(lambda: "done", deep_stack._SHARED_BYTES) == "done"
        assert not done.is_set()
    waiting.join()
    assert done.is_set()
