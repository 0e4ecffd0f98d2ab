"""The guard in tests/conftest.py against tests that open a model without the marker `model`."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from friendli_endpoint.engine.llama.model import LlamaModel


def test_a_test_without_the_marker_cannot_open_a_model() -> None:
    with pytest.raises(AssertionError, match="opens a model, but has no marker `model`"):
        LlamaModel(ctypes.CDLL(None), Path("absent.gguf"))


@pytest.mark.parametrize(
    "arguments",
    [("friendli_endpoint.cli", "serve"), ("friendli_endpoint.engine.llama.trial", "absent.gguf")],
)
def test_a_test_without_the_marker_cannot_start_a_process_that_opens_a_model(
    arguments: tuple[str, ...],
) -> None:
    with pytest.raises(AssertionError, match="starts a process that opens a model"):
        subprocess.run([sys.executable, "-m", *arguments], check=False)


@pytest.mark.model
def test_a_test_with_the_marker_can_open_a_model() -> None:
    with pytest.raises(Exception, match="cannot read"):
        LlamaModel(ctypes.CDLL(None), Path("absent.gguf"))
