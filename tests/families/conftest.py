"""Session fixtures that write models of several families, and serve them."""

from collections.abc import Iterator

import pytest

from tests.families.served import Served
from tests.support.models.byte_pairs import LLAMA, QWEN, write_byte_pairs
from tests.support.models.gemma import write_gemma
from tests.support.models.phi import write_phi


@pytest.fixture(scope="session")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves a model with a vocabulary of Gemma 3's size."""
    with Served(write_gemma(tmp_path_factory.mktemp("models") / "gemma.gguf")) as served:
        yield served


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves a model like Llama 3."""
    path = tmp_path_factory.mktemp("models") / "llama.gguf"
    with Served(write_byte_pairs(path, LLAMA)) as served:
        yield served


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves a model like Qwen 2."""
    path = tmp_path_factory.mktemp("models") / "qwen.gguf"
    with Served(write_byte_pairs(path, QWEN)) as served:
        yield served


@pytest.fixture(scope="session")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serves a model like Phi 3."""
    with Served(write_phi(tmp_path_factory.mktemp("models") / "phi.gguf")) as served:
        yield served
