"""`pull` from servers that send wrong ranges: a whole file, or an error that says what to do."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from .command import run
from .file_server import FileServer
from .wrong_responses import VERSIONS, Lie, WrongResponse, framed, lies, wrong_responses

CONTENT = VERSIONS['"first"']
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@pytest.fixture(scope="module")
def shared() -> Iterator[FileServer]:
    server = FileServer(CONTENT)
    server.etag = '"first"'
    yield server
    server.close()


@pytest.fixture
def server(shared: FileServer) -> FileServer:
    shared.script.clear()
    shared.seen.clear()
    return shared


def pull(server: FileServer, folder: Path, *flags: str, name: str = "m.gguf") -> Result:
    return run("pull", f"{server.url}/{name}", "--to", str(folder), *flags)


def check_runs(
    server: FileServer,
    runs: Sequence[Sequence[WrongResponse | Lie]],
    valid: Sequence[bytes],
    *flags: str,
) -> None:
    """Pulls a file once for each script, then from a server that behaves well.

    With a checksum, that may take two commands: the first one may find that a part was wrong.
    """
    last: list[list[WrongResponse]] = [[], []] if flags else [[]]
    with tempfile.TemporaryDirectory() as name:
        target = Path(name, "m.gguf")
        for number, script in enumerate([*runs, *last], 1 - len(runs) - len(last)):
            server.script[:] = [response.raw for response in script]
            if script:  # afterwards, no response is left to be valid by chance
                server.script += [lambda _asked: b""] * 20
            result = pull(server, target.parent, *flags)
            if result.exit_code == 0:
                assert target.read_bytes() in valid
                assert list(target.parent.iterdir()) == [target]
                if script:
                    target.unlink()
            else:
                assert number < 0, result.stderr
                assert result.exit_code == 1
                assert not target.exists()
                (line,) = result.stderr.splitlines()
                assert line.startswith("friendli-endpoint: ")


@settings(max_examples=30)
@given(st.lists(st.lists(wrong_responses, min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_file_is_one_version_as_a_whole_whatever_ranges_a_server_sends(
    shared: FileServer, runs: list[list[WrongResponse]]
) -> None:
    check_runs(shared, runs, list(VERSIONS.values()))


@settings(max_examples=25)
@given(st.lists(st.lists(lies, min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_file_with_a_checksum_is_the_original_whatever_a_server_sends(
    shared: FileServer, runs: list[list[WrongResponse | Lie]]
) -> None:
    check_runs(shared, runs, [CONTENT], "--sha256", SHA256)


# ── single cases ─────────────────────────────────────────────────────────────────────────────


def whole(**headers: str) -> dict[str, str]:
    return {"etag": '"first"', **{name.replace("_", "-"): text for name, text in headers.items()}}


def failure(result: Result, folder: Path) -> str:
    assert result.exit_code == 1, result.output
    assert not (folder / "m.gguf").exists()
    (line,) = result.stderr.splitlines()
    return str(line)


@pytest.mark.parametrize("content_range", [f"bytes 0-{HALF - 1}/{len(CONTENT)}", None])
def test_a_part_that_nobody_asked_for_is_an_error(
    server: FileServer, tmp_path: Path, content_range: str | None
) -> None:
    headers = whole(content_range=content_range) if content_range else whole()
    server.script = [lambda _asked: framed(206, headers, CONTENT[:HALF], "length", None)]
    error = failure(pull(server, tmp_path), tmp_path)
    assert "part of the file, although all of it was requested; try again" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [None, 0.5])
def test_a_response_without_a_length_is_an_error_unless_there_is_a_checksum(
    server: FileServer, tmp_path: Path, cut: float | None
) -> None:
    for flags, is_refused in (((), True), (("--sha256", SHA256), cut is not None)):
        server.script = [lambda _asked: framed(200, whole(), CONTENT, "close", cut)]
        result = pull(server, tmp_path, *flags)
        if is_refused:
            error = failure(result, tmp_path)
            assert "set --sha256" in error or "checksum" in error
        else:
            assert (tmp_path / "m.gguf").read_bytes() == CONTENT


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_short_ranges_are_followed_by_requests_for_the_rest(
    server: FileServer, tmp_path: Path, framing: str
) -> None:
    def short(asked: int | None) -> bytes:
        first, last = asked or 0, (asked or 0) + 599
        headers = whole(content_range=f"bytes {first}-{last}/{len(CONTENT)}")
        return framed(206, headers, CONTENT[first : last + 1], framing, None)  # type: ignore[arg-type]

    server.script = [
        lambda _asked: framed(200, whole(), CONTENT, "length", 0.2),
        short,
        short,
    ]
    assert pull(server, tmp_path).exit_code == 0
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    asked = [headers.get("range") for _, headers in server.seen]
    assert asked == [None, "bytes=600-", "bytes=1200-", "bytes=1800-"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-range": f"bytes 601-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"content-range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"content-range": f"bytes 600-{len(CONTENT) - 1}/{len(CONTENT) + 1}"},
        {"content-range": f"bytes 600-{len(CONTENT) - 1}/*"},
        {"content-range": f"bytes 600-{len(CONTENT)}/{len(CONTENT)}"},
        {"content-range": "bytes 600-599/600"},
        {"content-range": f"items 600-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"content-range": f"bytes 600-{len(CONTENT) - 1}/{len(CONTENT)}", "etag": '"other"'},
        {"content-range": f"bytes 600-{len(CONTENT) - 1}/{len(CONTENT)}", "etag": ""},
        {"content-type": "multipart/byteranges; boundary=b"},
    ],
)
def test_a_range_of_something_else_is_discarded_and_the_whole_file_requested(
    server: FileServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    server.script = [
        lambda _asked: framed(200, whole(), CONTENT, "length", 0.2),
        lambda _asked: framed(206, {**whole(), **headers}, b"?" * 2400, "length", None),
    ]
    assert pull(server, tmp_path).exit_code == 0
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    asked = [headers.get("range") for _, headers in server.seen]
    assert asked == [None, "bytes=600-", None]


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip"])
def test_a_compressed_file_is_an_error(server: FileServer, tmp_path: Path, encoding: str) -> None:
    headers = whole(content_encoding=encoding)
    server.script = [lambda _asked: framed(200, headers, CONTENT, "length", None)]
    assert "compresses the file" in failure(pull(server, tmp_path), tmp_path)


@pytest.mark.parametrize("status", [201, 202, 203, 204, 304])
def test_a_status_other_than_200_is_an_error(
    server: FileServer, tmp_path: Path, status: int
) -> None:
    server.script = [lambda _asked: framed(status, whole(), b"", "length", None)]
    assert f"responded with {status}" in failure(pull(server, tmp_path), tmp_path)


def test_a_file_that_now_has_the_size_of_the_part_is_not_complete(
    server: FileServer, tmp_path: Path
) -> None:
    server.script = [lambda _asked: framed(200, whole(), CONTENT, "length", 0.2)]
    server.script += [lambda _asked: b""]
    failure(pull(server, tmp_path), tmp_path)
    headers = {"content-range": "bytes */600"}
    server.script = [lambda _asked: framed(416, headers, b"", "length", None)]
    assert pull(server, tmp_path).exit_code == 0
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_a_part_of_another_address_is_not_resumed(server: FileServer, tmp_path: Path) -> None:
    server.script = [
        lambda _asked: framed(200, whole(), VERSIONS['"third"'], "length", 0.5),
        lambda _asked: b"",
    ]
    failure(pull(server, tmp_path, name="first-owner/m.gguf"), tmp_path)
    server.seen.clear()
    assert pull(server, tmp_path, name="second-owner/m.gguf").exit_code == 0
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert [headers.get("range") for _, headers in server.seen] == [None]
