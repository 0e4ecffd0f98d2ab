"""Fixtures of tests of GGUF files."""

import pytest

from tests.engine.llama.gguf.headers import SHAPE, write


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("gguf") / "m.gguf", **SHAPE).read_bytes()
