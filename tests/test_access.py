"""Access policies made from settings, and protection against endpoints open by mistake."""

from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.access import AccessError, policy_of, readable_secrets
from friendli_endpoint.http.middleware.tokens import find_token
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.settings import Settings

LOCAL = ["127.0.0.1", "127.9.9.9", "::1", "localhost"]
OTHER = ["0.0.0.0", "::", "10.0.0.1", "example.org", "", "127.0.0.1.example.org", "localhost.local"]


def policy(**settings: Any) -> Policy:
    return policy_of(Settings(**settings))


@pytest.mark.parametrize("host", LOCAL)
def test_a_loopback_host_needs_no_token(host: str) -> None:
    assert policy(host=host).tokens is None
    assert policy(host=host, auth=False).tokens is None


@pytest.mark.parametrize("host", OTHER)
def test_any_other_host_needs_a_token_or_no_auth(host: str) -> None:
    with pytest.raises(AccessError, match="--token-file"):
        policy(host=host)
    assert policy(host=host, tokens="a").tokens is not None
    assert policy(host=host, auth=False).tokens is None


def test_tokens_of_the_setting_and_of_the_file_are_combined(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("c\n")
    tokens = policy(tokens="a, b\n", token_file=file).tokens
    assert tokens is not None
    known = tokens()
    assert len(known) == 3
    assert all(find_token(known, token) for token in (b"a", b"b", b"c"))


def test_tokens_and_no_auth_exclude_each_other(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("c\n")
    for given in ({"tokens": "a"}, {"token_file": file}):
        with pytest.raises(AccessError, match="cannot be combined"):
            policy(auth=False, **given)


@pytest.mark.parametrize("tokens", ["", " ", ",", "# a", "a b"])
def test_a_setting_without_a_valid_token_is_rejected(tokens: str) -> None:
    with pytest.raises(AccessError, match="token"):
        policy(tokens=tokens)


@pytest.mark.parametrize(
    ("host", "open_metrics", "is_open"),
    [
        ("127.0.0.1", None, True),
        ("127.0.0.1", False, False),
        ("0.0.0.0", None, False),
        ("0.0.0.0", True, True),
    ],
)
def test_metrics_are_open_by_default_only_on_a_loopback_host(
    host: str, open_metrics: bool | None, is_open: bool
) -> None:
    paths = policy(host=host, tokens="a", open_metrics=open_metrics).open_paths
    assert paths == {"/health", "/live"} | ({"/metrics"} if is_open else set())


# ── administrators ───────────────────────────────────────────────────────────────────────────


def test_admin_tokens_of_the_setting_and_of_the_file_are_combined(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("c\n")
    made = policy(tokens="user", admin_tokens="a, b", admin_token_file=file)
    assert made.admin_tokens is not None and made.tokens is not None
    admins, callers = made.admin_tokens(), made.tokens()
    assert all(find_token(admins, token) for token in (b"a", b"b", b"c"))
    assert find_token(admins, b"user") is None
    assert callers > admins
    assert find_token(callers, b"user")


def test_admin_tokens_alone_require_no_token_for_other_calls() -> None:
    made = policy(admin_tokens="a")
    assert made.tokens is None
    assert policy(host="0.0.0.0", auth=False, admin_tokens="a").tokens is None
    with pytest.raises(AccessError, match="--token-file"):
        policy(host="0.0.0.0", admin_tokens="a")


@pytest.mark.parametrize(
    ("settings", "is_open"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"tokens": "a"}, False),
        ({"host": "0.0.0.0", "tokens": "a"}, False),
        ({"host": "0.0.0.0", "auth": False}, False),
    ],
)
def test_local_callers_are_administrators_only_on_loopback_without_tokens(
    settings: dict[str, Any], is_open: bool
) -> None:
    assert policy(**settings).open_admin == is_open


@pytest.mark.parametrize("content", [None, "", "# a", "a b", "\N{SNOWMAN}"])
def test_an_invalid_admin_token_file_is_rejected(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "admins"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AccessError, match="admins"):
        policy(admin_token_file=file)
    with pytest.raises(AccessError, match="admin tokens"):
        policy(admin_tokens=content or "")


# ── files with tokens ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "is_readable"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)]
)
@pytest.mark.parametrize("setting", ["token_file", "admin_token_file", "config"])
def test_a_file_with_tokens_that_others_can_read_is_found(
    tmp_path: Path, setting: str, mode: int, is_readable: bool
) -> None:
    file = tmp_path / "file"
    file.write_text('admin_tokens = "a"' if setting == "config" else "a")
    file.chmod(mode)
    given: dict[str, Any] = {setting: file}
    found = readable_secrets(Settings(**given))
    assert found == ([file] if is_readable else [])


def test_settings_without_tokens_and_missing_files_are_no_secrets(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("context = 512")
    file.chmod(0o644)
    settings = Settings(config=file, token_file=tmp_path / "none")
    assert readable_secrets(settings) == []
    file.unlink()
    assert readable_secrets(settings) == []
