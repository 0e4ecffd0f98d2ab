"""The size of the embedded model: the same wherever it is given."""

import re
from pathlib import Path

import pytest

from friendli_endpoint.cli.checks import run_checks
from friendli_endpoint.cli.models import local_models
from friendli_endpoint.engine.llama.model import find_embedded_model
from friendli_endpoint.engine.llama.trials import Trials
from friendli_endpoint.files import format_size
from friendli_endpoint.settings import Settings

ROOT = Path(__file__).parents[2]
MODEL = find_embedded_model()
SIZE = format_size(MODEL.stat().st_size)


def test_the_readme_gives_the_size_of_the_model() -> None:
    given = re.findall(r"[\d.,]+ Mi?B(?= model)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert given == [SIZE]


def test_models_and_doctor_give_the_same_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trials, "try_model", lambda _self, _path: None)
    _, row = local_models(tmp_path)
    assert (row[0], row[1]) == (MODEL.stem, SIZE)
    says = {result.check: result.says for result in run_checks(Settings(port=0))}
    assert says["model"].endswith(f", {SIZE})")
    assert f"the model's {SIZE};" in says["memory"]
