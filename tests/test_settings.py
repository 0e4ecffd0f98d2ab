"""Settings from arguments, environment and file: precedence and validation."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from friendli_endpoint.settings import Settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FRIENDLI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "endpoint.toml"
    path.write_text('context = 512\nport = 9000\nendpoint_id = ["first", "second"]\n')
    return path


def test_the_file_sets_values_that_are_not_set_elsewhere(file: Path) -> None:
    settings = Settings(config=file)
    assert (settings.context, settings.port) == (512, 9000)
    assert settings.endpoint_id == ("first", "second")
    assert settings.max_sequences == Settings().max_sequences


def test_the_environment_can_name_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRIENDLI_ENDPOINT_CONFIG", str(file))
    assert Settings().context == 512


def test_arguments_take_precedence_over_environment_and_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRIENDLI_ENDPOINT_CONTEXT", "1024")
    monkeypatch.setenv("FRIENDLI_ENDPOINT_PORT", "9001")
    settings = Settings(config=file, port=9002)
    assert (settings.context, settings.port) == (1024, 9002)


def test_the_repr_of_settings_does_not_contain_tokens() -> None:
    for name in ("tokens", "admin_tokens"):
        given: dict[str, Any] = {name: "very-secret"}
        assert "very-secret" not in repr(Settings(**given))


def test_the_file_of_the_argument_takes_precedence_over_the_environments(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second.toml"
    second.write_text("context = 1024\n")
    monkeypatch.setenv("FRIENDLI_ENDPOINT_CONFIG", str(file))
    settings = Settings(config=second)
    assert (settings.context, settings.port) == (1024, Settings.model_fields["port"].default)


def test_lists_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRIENDLI_ENDPOINT_ENDPOINT_ID", '["first", "second"]')
    monkeypatch.setenv("FRIENDLI_ENDPOINT_AUTH", "false")
    settings = Settings()
    assert (settings.endpoint_id, settings.auth) == (("first", "second"), False)


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("max_sequences", [1, 256], [0, 257]),
        ("context", [256], [255]),
        ("max_adapters", [0, 1024], [-1, 1025]),
        ("threads", [1, None], [0]),
        ("port", [0, 65535], [-1, 65536]),
        ("max_body", [1024], [1023]),
        ("prefix_cache_size", [1 << 20], [0, (1 << 20) - 1]),
        ("requests_per_minute", [1, None], [0]),
        ("drain_seconds", [0], [-1]),
        ("team_limit", [0, 10_000], [-1, 10_001]),
        ("receive_seconds", [0.5], [0, -1, "inf", "nan"]),
        ("stall_seconds", [0.5], [0, "inf"]),
        ("step_seconds", [0.5], [0, "inf"]),
        ("timeout", [0.5, None], [0, "inf"]),
        ("repack", ["auto", "q8_0", "none"], ["q4_0"]),
        ("log_level", ["debug"], ["loud"]),
        ("adapter", [("a=b",), ("team/a.b-1=x=y",)], [("a",), ("=b",), ("a=",), ("a b=c",)]),
        ("colour", [], ["red"]),
    ],
)
def test_values_out_of_range_are_rejected(name: str, valid: list[Any], invalid: list[Any]) -> None:
    for value in valid:
        assert getattr(Settings(**{name: value}), name) == value
    for value in invalid:
        with pytest.raises(ValidationError) as caught:
            Settings(**{name: value})
        assert {error["loc"][0] for error in caught.value.errors()} == {name}
