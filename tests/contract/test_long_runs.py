"""Long runs of one letter, for a model whose pre-tokenizer recurses once per letter."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.contract.served import Placement, served
from tests.support.pre_tokenizers import write_with_pre_tokenizer

RUN = "a" * 60_000
MESSAGES = [{"role": "user", "content": RUN}]
PATHS: dict[str, dict[str, Any]] = {
    "/dedicated/v1/tokenize": {"prompt": RUN},
    "/dedicated/v1/chat/render": {"messages": MESSAGES},
    "/dedicated/v1/chat/completions": {"messages": MESSAGES, "max_tokens": 1},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_with_pre_tokenizer(tmp_path_factory.mktemp("pre") / "m.gguf", "deepseek-v3")


def test_a_long_run_of_letters_does_not_affect_other_requests(
    model: Path, placement: Placement
) -> None:
    flags = ("--model", str(model), "--context", "1024", "--repack", "none", "--threads", "1")
    with (
        served(*flags, *placement.flags) as endpoint,
        httpx2.Client(base_url=endpoint.address, timeout=60, trust_env=False) as client,
    ):
        for path, fields in PATHS.items():
            response = client.post(path, json={"model": "m", **fields})
            assert response.status_code == (200 if path.endswith("tokenize") else 400), path
        good = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        response = client.post("/dedicated/v1/chat/completions", json=good)
        assert response.status_code == 200
