"""Environment variables about certificates and proxies."""

from __future__ import annotations

import importlib.util
import ssl
import types
from pathlib import Path
from typing import Any

import certifi
import httpx2
import pytest

import friendli
from friendli import ConfigurationError
from friendli._transport import environment
from friendli._transport.environment import proxy_variable, verifying_context, wrong_proxies

from ..conftest import Caller
from ..wire import Peer, Serve, completion, json_answer

VARIABLES = "http_proxy https_proxy all_proxy no_proxy ssl_cert_file ssl_cert_dir".split()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestCertificates:
    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_wrong_variable_is_named(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
    ) -> None:
        monkeypatch.setenv(variable, str(tmp_path / "none"))
        with pytest.raises(ConfigurationError, match=f"{variable} is .*none', which is not a"):
            caller.call("https://127.0.0.1:9")
        with pytest.raises(friendli.ConnectFailedError):  # plain http needs no certificates
            caller.call("http://127.0.0.1:9", retries=None)

    def test_file_without_certificates_is_named(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.pem").write_text("none")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE cannot be read"):
            caller.call("https://127.0.0.1:9")

    @pytest.fixture
    def no_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A system without certificates."""
        paths: Any = types.SimpleNamespace(cafile=None, capath=None)
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
        empty = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        monkeypatch.setattr(httpx2, "create_ssl_context", lambda: empty)

    @pytest.mark.usefixtures("no_store")
    def test_certifi_serves_where_the_system_has_no_store(self) -> None:
        context = verifying_context()
        count = Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
        assert context.cert_store_stats()["x509_ca"] == count > 0
        assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname

    @pytest.mark.usefixtures("no_store")
    def test_without_any_certificates_the_error_says_what_to_install(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            environment, "find_spec", lambda name: None if name == "certifi" else find_spec(name)
        )
        with pytest.raises(ConfigurationError, match="ca-certificates, or the Python package"):
            caller.call("https://127.0.0.1:9")


WRONG = ["ftp://127.0.0.1:1", "http://", "http://[bad", "socks5://127.0.0.1:1", "http://h:x"]


class TestProxies:
    @pytest.mark.parametrize("value", WRONG)
    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    def test_wrong_variable_is_named(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        monkeypatch.setattr(environment, "find_spec", lambda name: None)
        monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigurationError, match=f"^{variable} cannot be used as a proxy: "):
            caller.call("http://127.0.0.1:9")

    @pytest.mark.parametrize("value", WRONG)
    @pytest.mark.parametrize(
        "others",
        [
            {"NO_PROXY": "127.0.0.1"},
            {"NO_PROXY": "::1, .local , 127.0.0.1"},
            {"NO_PROXY": "*"},
            {"HTTP_PROXY": ""},
        ],
    )
    def test_proxy_that_does_not_concern_the_call_does_not_break_it(
        self,
        serve: Serve,
        caller: Caller,
        monkeypatch: pytest.MonkeyPatch,
        value: str,
        others: dict[str, str],
    ) -> None:
        monkeypatch.setattr(environment, "find_spec", lambda name: None)
        variable = "HTTPS_PROXY" if "HTTP_PROXY" in others else "HTTP_PROXY"
        for name, text in {variable: value, **others}.items():
            monkeypatch.setenv(name, text)
        server = serve(json_answer(completion()))
        caller.call(server.url)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("wrong", [{}, {"HTTPS_PROXY": "ftp://127.0.0.1:1"}])
    def test_requests_go_through_a_proxy_beside_a_wrong_one(
        self,
        serve: Serve,
        caller: Caller,
        monkeypatch: pytest.MonkeyPatch,
        wrong: dict[str, str],
    ) -> None:
        proxy = serve(json_answer(completion()))
        user = proxy.url.replace("http://", "http://user:pw@")
        for name, text in {"HTTP_PROXY": user, **wrong}.items():
            monkeypatch.setenv(name, text)
        caller.call("http://nowhere.invalid")
        [request] = proxy.requests
        assert request.line.startswith("POST http://nowhere.invalid/dedicated/v1/chat/completions")
        assert request.header("proxy-authorization") == "Basic dXNlcjpwdw=="

    def test_error_of_a_connection_through_a_proxy_names_its_variable(
        self, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        with pytest.raises(friendli.ConnectFailedError, match="the proxy in HTTP_PROXY"):
            caller.call("http://nowhere.invalid", retries=None)

    def test_variable_of_a_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("https_proxy", "http://h:1")
        monkeypatch.setenv("NO_PROXY", "a.test")
        assert wrong_proxies() == {}
        found = {u: proxy_variable(u) for u in ("https://b.test/x", "https://a.test", "http://b")}
        assert list(found.values()) == ["https_proxy", None, None]


def test_read_errors_do_not_blame_the_proxy(
    serve: Serve, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(peer: Peer) -> Any:
        return None

    monkeypatch.setenv("HTTP_PROXY", serve(cut).url)
    with pytest.raises(friendli.NetworkError) as caught:
        caller.call("http://nowhere.invalid", retries=None)
    assert "HTTP_PROXY" not in str(caught.value)
