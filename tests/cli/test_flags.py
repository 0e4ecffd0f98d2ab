"""Settings that cannot be are laid to where they were written, and `--help` shows them all."""

import re
from pathlib import Path
from typing import get_args

import pytest

from friendli_endpoint.cli.flags import read_settings
from friendli_endpoint.settings import Flag, Settings

from .command import run, sentence

pytestmark = pytest.mark.usefixtures("nothing_set")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "endpoint.toml"
    path.write_text('context = 512\nport = 9000\nendpoint_id = ["first", "second"]\n')
    return path


@pytest.mark.parametrize("given", [None, []])
def test_a_flag_that_is_not_given_counts_for_nothing(given: object, file: Path) -> None:
    settings = read_settings({"config": file, "endpoint_id": given})
    assert settings.endpoint_id == ("first", "second")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "there is no setting 'prot'; did you mean 'port'[?]"),
        ("max-sequences = 1", "did you mean 'max_sequences'"),
        ("colour = 1", "there is no setting 'colour'$"),
        ("[serve]\nport = 1", "there is no setting 'serve'"),
        ("port = 99999", "port: .*65535.*99999"),
        ('endpoint_id = "one"', "endpoint_id: "),
        ("port = high", "cannot be read as TOML: .*line 1"),
    ],
)
def test_what_cannot_be_in_a_file_is_refused_with_file_and_key(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    said = sentence(run("serve", "--config", str(path)))
    assert said.startswith(f"{path}: ")
    assert re.search(words, said)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "none.toml" in sentence(run("serve", "--config", str(tmp_path / "none.toml")))


def test_a_wrong_value_is_laid_to_the_variable_it_came_from(file: Path) -> None:
    said = sentence(run("serve", "--config", str(file), FRIENDLI_ENDPOINT_PORT="high"))
    assert said.startswith("FRIENDLI_ENDPOINT_PORT: ")


def test_help_shows_every_setting_in_its_panel_with_its_default() -> None:
    shown = run("serve", "--help", COLUMNS="200", TERM="dumb").stdout
    panels = re.split(r"╭─ (\w+) ─+", shown)
    text = dict(zip(panels[1::2], panels[2::2], strict=True))
    for name, field in Settings.model_fields.items():
        (flag,) = (each for each in field.metadata if isinstance(each, Flag))
        option = "--" + name.replace("_", "-")
        if flag.secret:
            assert f"{option} " not in shown
            continue
        (line,) = (line for line in text[flag.panel].splitlines() if f"│ {option} " in line)
        assert field.description
        assert "[default: " in line
    (panel,) = (each for each in Flag.__annotations__.items() if each[0] == "panel")
    assert list(text) == ["Options", *get_args(panel[1])]
