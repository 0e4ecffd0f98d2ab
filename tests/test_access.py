"""Access policies made from settings, and protection against endpoints open by mistake."""

from pathlib import Path
from typing import Any

import pytest

from friendli_endpoint.access import AccessError, policy_of
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
