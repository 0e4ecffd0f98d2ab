"""The `Host` header of an endpoint on a loopback address."""

import pytest

from friendli_endpoint.access import policy_of
from friendli_endpoint.settings import Settings
from tests.http.scripted import COMPLETIONS, ScriptedService, called, check_error, scripted_app

OWN = [
    "localhost",
    "LocalHost:8000",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.255.0.9:8000",
    "[::1]",
    "[::1]:8000",
]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.0.1",
    "128.0.0.1:8000",
    "0.0.0.0:8000",
    "[::2]:8000",
    "[::1].evil.example",
    "localhost:8000:8000",
    "localhost@evil.example",
    "evil.example#localhost",
    " ",
]
ALLOWED: tuple[str, ...] = ("chat.internal", "[fd00::1]")


@pytest.mark.parametrize("host", OWN)
def test_this_machine_is_allowed_with_any_port(host: str) -> None:
    app = scripted_app(ScriptedService(), allowed_hosts=())
    assert called(app, "GET", "/health", ("host", host)).status == 200


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("GET", "/metrics"), ("POST", COMPLETIONS)]
)
def test_another_host_gets_421(host: str, method: str, path: str) -> None:
    app = scripted_app(ScriptedService(), allowed_hosts=())
    error = check_error(called(app, method, path, ("host", host)), 421, "host")
    assert error["code"] == "foreign_host"
    assert "--allowed-host" in error["message"]
    assert repr(host) in error["message"]


def test_one_foreign_host_among_several_is_rejected() -> None:
    app = scripted_app(ScriptedService(), allowed_hosts=())
    for hosts in (["localhost", "evil.example"], ["evil.example", "localhost"]):
        call = called(app, "GET", "/health", *(("host", host) for host in hosts))
        check_error(call, 421, "host")


def test_a_request_without_a_host_or_with_an_empty_one_passes() -> None:
    app = scripted_app(ScriptedService(), allowed_hosts=())
    assert called(app, "GET", "/health").status == 200
    assert called(app, "GET", "/health", ("host", "")).status == 200


@pytest.mark.parametrize("host", ["chat.internal", "CHAT.internal:8000", "[fd00::1]:8000", *OWN])
def test_allowed_hosts_pass_with_any_port(host: str) -> None:
    app = scripted_app(ScriptedService(), allowed_hosts=ALLOWED)
    assert called(app, "GET", "/health", ("host", host)).status == 200


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("127.0.0.1", (), ()),
        ("::1", (), ()),
        ("localhost", ALLOWED, ALLOWED),
        ("0.0.0.0", (), None),
        ("192.168.0.1", (), None),
        ("0.0.0.0", ALLOWED, ALLOWED),
    ],
)
def test_hosts_are_checked_on_loopback_addresses_and_where_they_are_named(
    host: str, allowed: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    settings = Settings(host=host, auth=False, allowed_host=allowed)
    assert policy_of(settings).allowed_hosts == expected


@pytest.mark.parametrize("name", ["a:80", "http://a", "a/b", "", "*", "a b", "::1"])
def test_an_allowed_host_is_a_name_without_a_port(name: str) -> None:
    with pytest.raises(ValueError, match="allowed_host"):
        Settings(allowed_host=(name,))
