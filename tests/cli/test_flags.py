"""Flags of settings: errors name the source of an invalid value, and `--help` shows all flags."""

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
def test_an_omitted_flag_does_not_override_the_file(given: object, file: Path) -> None:
    settings = read_settings({"config": file, "endpoint_id": given})
    assert settings.endpoint_id == ("first", "second")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "unknown setting 'prot'; did you mean 'port'[?]"),
        ("max-sequences = 1", "did you mean 'max_sequences'"),
        ("colour = 1", "unknown setting 'colour'$"),
        ("[serve]\nport = 1", "unknown setting 'serve'"),
        ("port = 99999", "port: .*65535.*99999"),
        ('endpoint_id = "one"', "endpoint_id: "),
        ("port = high", "cannot be read as TOML: .*line 1"),
    ],
)
def test_an_invalid_file_is_an_error_with_file_and_key(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    error = sentence(run("serve", "--config", str(path)))
    assert error.startswith(f"{path}: ")
    assert re.search(words, error)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "none.toml" in sentence(run("serve", "--config", str(tmp_path / "none.toml")))


def test_an_error_names_the_environment_variable(file: Path) -> None:
    error = sentence(run("serve", "--config", str(file), FRIENDLI_ENDPOINT_PORT="high"))
    assert error.startswith("FRIENDLI_ENDPOINT_PORT: ")


def test_help_shows_every_setting_in_its_panel_with_its_default() -> None:
    shown = run("serve", "--help", COLUMNS="200", TERM="dumb").stdout
    panels = re.split(r"╭─ (\w+) ─+", shown)
    text = dict(zip(panels[1::2], panels[2::2], strict=True))
    for name, field in Settings.model_fields.items():
        (flag,) = (metadata for metadata in field.metadata if isinstance(metadata, Flag))
        option = "--" + name.replace("_", "-")
        if flag.secret:
            assert f"{option} " not in shown
            continue
        (line,) = (line for line in text[flag.panel].splitlines() if f"│ {option} " in line)
        assert field.description
        assert "[default: " in line
    assert list(text) == ["Options", *get_args(Flag.__annotations__["panel"])]
