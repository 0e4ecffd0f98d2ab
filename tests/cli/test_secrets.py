"""Tokens, passwords and signatures in what commands print and log."""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from friendli_endpoint.cli.addresses import find_address, shown_address

from .command import run
from .file_server import FileServer
from .wrong_responses import framed

CONTENT = b"GGUF" + bytes(3000)
SECRETS = ("hf_se", "cret", "passw0rd", "pass", "w0rd", "s1gnature")
LOGIN = "user:passw0rd@"
QUERY = "?X-Signature=s1gnature"


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer(CONTENT)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "FRIENDLI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.DEBUG)


def output(caplog: pytest.LogCaptureFixture, *arguments: str, **variables: str) -> tuple[int, str]:
    """Returns the exit code and the output of a command; checks that neither it nor the log has a
    secret.
    """
    result = run(*arguments, **variables)
    lines = result.stderr.splitlines()
    assert len(lines) == (result.exit_code != 0), result.stderr
    printed = result.output + caplog.text
    assert not [secret for secret in SECRETS if secret in printed]
    return result.exit_code, result.output


INVALID_TOKENS = ["hf_se\rcret", "hf_se\ncret", "hf_se cret", "hf_se\tcret", "hf_secr\N{SNOWMAN}t"]


@pytest.mark.parametrize("token", INVALID_TOKENS)
def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    pull = ("pull", "o/r:m.gguf", "--hub", server.url, "--to", str(tmp_path))
    code, printed = output(caplog, *pull, HF_TOKEN=token)
    assert (code, "HF_TOKEN" in printed) == (2, True)
    code, printed = output(caplog, "models", "--url", server.url, FRIENDLI_TOKEN=token)
    assert (code, "FRIENDLI_TOKEN" in printed) == (2, True)
    assert server.seen == []


@pytest.mark.parametrize("token", ["hf_secret\r", "hf_secret\r\n", " hf_secret", "\thf_secret\n"])
def test_white_space_around_a_token_is_removed(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    pull = ("pull", "o/r:m.gguf", "--hub", server.url, "--to", str(tmp_path))
    assert output(caplog, *pull, HF_TOKEN=token)[0] == 0
    output(caplog, "models", "--url", server.url, FRIENDLI_TOKEN=token)
    sent = [headers["authorization"] for _, headers in server.seen]
    assert sent == ["Bearer hf_secret", "Bearer hf_secret"]


def test_the_login_of_an_address_is_sent_to_its_host_only(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.redirect = {}
    url = server.url.replace("//", f"//{LOGIN}") + f"/m.gguf{QUERY}"
    assert output(caplog, "pull", url, "--to", str(tmp_path))[0] == 0
    (first_path, first), (_, second) = server.seen
    assert first_path == f"/m.gguf{QUERY}"
    login = base64.b64encode(LOGIN.rstrip("@").encode()).decode()
    assert first["authorization"] == f"Basic {login}"
    assert "authorization" not in second
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]
    assert output(caplog, "pull", url, "--to", str(tmp_path))[0] == 0


@pytest.mark.parametrize(
    "response",
    [
        (401, {}, "length", None),
        (404, {}, "length", None),
        (206, {}, "length", None),
        (200, {}, "close", None),
        (200, {"etag": '"one"'}, "length", 0.5),
        (200, {"content-encoding": "gzip"}, "length", None),
        (302, {"location": f"http://{LOGIN}h:x/{QUERY}"}, "length", None),
        (302, {"location": f"ftp://{LOGIN}h/{QUERY}"}, "length", None),
        (302, {"location": f"http://{LOGIN}127.0.0.1:1/{QUERY}"}, "length", None),
        (302, {"bad header": f"{LOGIN}{QUERY}", "location": "/"}, "length", None),
    ],
)
def test_an_error_of_a_download_has_no_secrets(
    server: FileServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    response: tuple[int, dict[str, str], str, float | None],
) -> None:
    status, headers, framing, cut = response
    raw = framed(status, dict(headers), CONTENT, framing, cut)  # type: ignore[arg-type]
    server.script = [lambda _asked: raw] * 10
    url = server.url.replace("//", f"//{LOGIN}") + f"/m.gguf{QUERY}"
    code, printed = output(caplog, "pull", url, "--to", str(tmp_path))
    assert code == 1
    assert f"127.0.0.1:{server.port}/m.gguf" in printed or "connection" in printed


def test_a_wrong_checksum_has_no_secrets(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url.replace("//", f"//{LOGIN}") + f"/m.gguf{QUERY}"
    code, _ = output(caplog, "pull", url, "--to", str(tmp_path), "--sha256", "0" * 64)
    assert code == 1


INVALID = [
    f"http://{LOGIN}h:x/m.gguf",
    f"http://{LOGIN}[::1/m.gguf",
    f"http://{LOGIN}h/m.zip{QUERY}",
    f"http://{LOGIN}h/%00.gguf{QUERY}",
    f"http://{LOGIN}h/a%0Ab.gguf",
    f"http://{LOGIN}h/{'a' * 300}.gguf",
    f"ftp://{LOGIN}h/m.gguf{QUERY}",
    f"{LOGIN}h/m.gguf{QUERY}",
    f"h/m.gguf{QUERY}",
    "http://user:pass\r\nw0rd@h/m.gguf",
    "http://user:pass w0rd@h:1:2/m.gguf",
    "http://user:pass#w0rd@h/m.gguf",
    "http://user:passw0rd@\N{FULLWIDTH SOLIDUS}/m.gguf",
    "http:user:passw0rd@h/m.gguf",
]


@pytest.mark.parametrize("address", INVALID)
def test_an_invalid_address_is_an_error_without_its_secrets(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, address: str
) -> None:
    assert output(caplog, "pull", address, "--to", str(tmp_path))[0] in (1, 2)
    assert output(caplog, "models", "--url", address)[0] == 2
    if not address.endswith(QUERY):
        code, _ = output(caplog, "pull", "o/r:m.gguf", "--hub", address.replace("m.gguf", ""))
        assert code in (1, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("proxy", [f"foo://{LOGIN}h", f"http://{LOGIN}h:x"])
def test_an_invalid_proxy_is_an_error_without_its_secrets(
    server: FileServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    pull = ("pull", f"{server.url}/m.gguf", "--to", str(tmp_path))
    for arguments in (pull, ("models", "--url", server.url)):
        code, printed = output(caplog, *arguments, HTTP_PROXY=proxy)
        assert (code, "HTTP_PROXY" in printed) == (1 if arguments is pull else 2, True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/m.gguf", "http://h/m.gguf"),
        ("https://u:p@h:1/a%20b.gguf?q#f", "https://h:1/a%20b.gguf"),
        ("ftp://u:p@h/m", "ftp://h/m"),
        ("model", "'model'"),
        ("u:p@h/m", "the address"),
        ("h/m?q", "the address"),
        ("http://u:p@h:x/m", "the address"),
    ],
)
def test_an_address_is_shown_without_login_query_and_fragment(text: str, shown: str) -> None:
    assert shown_address(text) == shown


def test_the_repr_of_an_address_shows_no_secret() -> None:
    address = find_address(f"http://{LOGIN}h/m.gguf{QUERY}")
    assert address is not None
    assert address.url == f"http://h/m.gguf{QUERY}"
    assert not [secret for secret in SECRETS if secret in repr(address)]
    assert find_address("ftp://h/m") is None
    assert find_address("m") is None
