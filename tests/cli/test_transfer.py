"""Downloads from a server that breaks off, changes the file or has the wrong one."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from friendli_endpoint.cli.transfer import Source, TransferError, check_sum, download

from .file_server import FileServer

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer(CONTENT)
    yield server
    server.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "m.gguf"


@pytest.fixture
def part(target: Path) -> Path:
    return target.with_name("m.gguf.part")


def download_from(
    server: FileServer, target: Path, sha256: str | None = None, url: str = "{}/m.gguf"
) -> list[tuple[int, int | None]]:
    """Downloads the file of a server; returns the reported progress."""
    reported: list[tuple[int, int | None]] = []
    source = Source(url.format(server.url), sha256=sha256)
    with httpx2.Client() as client:
        download(
            client,
            source,
            target,
            check=check,
            progress=lambda received, total: reported.append((received, total)),
        )
    return reported


def check(path: Path) -> None:
    if path.read_bytes().startswith(b"<html>"):
        raise TransferError("this is a page")


def failure(server: FileServer, target: Path, sha256: str | None = None) -> str:
    """Returns the one-line error of a failed download."""
    with pytest.raises(TransferError) as caught:
        download_from(server, target, sha256)
    (line,) = str(caught.value).splitlines()
    return line


def requested_ranges(server: FileServer) -> list[str | None]:
    return [headers.get("range") for _, headers in server.seen]


def alone(target: Path) -> bool:
    """Whether the complete file exists and nothing else is in its folder."""
    return target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_a_broken_connection_is_resumed(server: FileServer, target: Path) -> None:
    server.cuts = [100_000, 50_000]
    download_from(server, target)
    assert requested_ranges(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert alone(target)


def test_a_partial_file_is_kept_and_resumed(server: FileServer, target: Path, part: Path) -> None:
    server.cuts = [100_000, 0]
    error = failure(server, target)
    assert "100,000 bytes are kept" in error
    assert str(part) in error
    assert part.read_bytes() == CONTENT[:100_000]
    assert not target.exists()
    download_from(server, target)
    assert requested_ranges(server)[2:] == ["bytes=100000-"]
    assert alone(target)


def test_the_number_of_attempts_is_limited(server: FileServer, target: Path) -> None:
    server.cuts = [1000] * 100
    assert "the connection failed" in failure(server, target)
    assert len(server.seen) < 10


def test_a_server_without_ranges_starts_over(server: FileServer, target: Path) -> None:
    server.cuts = [100_000]
    server.ranges = False
    download_from(server, target)
    assert alone(target)


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("etag", ['"two"', 'W/"one"', ""])
def test_a_file_that_may_have_changed_starts_over(
    server: FileServer, target: Path, part: Path, etag: str, conditions: bool
) -> None:
    server.conditions = conditions
    server.etag = etag
    server.cuts = [100_000, 0]
    failure(server, target)
    part.write_bytes(b"GGUF of another time")
    server.etag = '"three"'
    download_from(server, target)
    assert alone(target)


def test_a_complete_partial_file_is_only_checked(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    part.write_bytes(CONTENT)
    download_from(server, target)
    assert alone(target)


def test_a_partial_file_that_is_too_long_starts_over(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    part.write_bytes(CONTENT + b"and more")
    download_from(server, target)
    assert alone(target)


def test_a_file_with_a_wrong_checksum_is_deleted(server: FileServer, target: Path) -> None:
    error = failure(server, target, sha256="0" * 64)
    assert SHA256 in error
    assert list(target.parent.iterdir()) == []


def test_too_little_disk_space_is_an_error_before_the_download(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent.parent)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    error = failure(server, target)
    assert "1,000 are free" in error
    assert f"{len(CONTENT):,} bytes" in error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_an_error_of_one_line(server: FileServer, target: Path, part: Path) -> None:
    target.parent.mkdir()
    part.symlink_to("/dev/full")
    assert "the disk is full" in failure(server, target)
    assert not target.exists()


def test_a_folder_that_cannot_be_created_is_an_error_of_one_line(
    server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("")
    assert "cannot write" in failure(server, tmp_path / "models" / "m.gguf")


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_of_the_server_is_an_error_of_one_line(
    server: FileServer, target: Path, status: int
) -> None:
    server.status = status
    error = failure(server, target)
    assert str(status) in error
    assert ("HF_TOKEN" in error) == (status == 401)


def test_an_unreachable_server_is_an_error_of_one_line(target: Path) -> None:
    gone = FileServer(b"")
    gone.close()
    assert "connection" in failure(gone, target)


def test_a_file_that_fails_the_check_is_deleted(server: FileServer, target: Path) -> None:
    server.content = b"<html>Please log in</html>"
    assert failure(server, target).startswith("this is a page; the download was deleted")
    assert list(target.parent.iterdir()) == []


def test_an_invalid_url_is_an_error_of_one_line(server: FileServer, target: Path) -> None:
    with pytest.raises(TransferError, match="invalid URL"):
        download_from(server, target, url="http://h:x/m.gguf")


def test_progress_is_reported_from_the_resumed_position_to_the_end(
    server: FileServer, target: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    reported = download_from(server, target)
    total = len(CONTENT)
    assert reported[0] == (100_000, total)
    assert reported[-1] == (total, total)
    assert reported == sorted(reported)


@pytest.mark.parametrize("named", [SHA256, "0" * 64, "no checksum"])
def test_the_given_checksum_overrides_that_of_the_hub(
    server: FileServer, target: Path, named: str
) -> None:
    server.redirect = {"x-linked-etag": f'"{named}"'}
    download_from(server, target, sha256=SHA256.upper())
    assert alone(target)


@pytest.mark.parametrize(("named", "counts"), [("0" * 64, True), ("0" * 40, False)])
def test_only_a_sha256_of_the_hub_is_checked(
    server: FileServer, target: Path, named: str, counts: bool
) -> None:
    server.redirect = {"x-linked-etag": f'"{named}"'}
    if counts:
        assert "checksum" in failure(server, target)
        assert not target.exists()
    else:
        download_from(server, target)
        assert alone(target)


def test_headers_are_sent_only_to_the_first_host_and_not_shown(
    server: FileServer, target: Path
) -> None:
    server.redirect = {}
    source = Source(f"{server.url}/m.gguf", {"authorization": "Bearer secret"})
    assert "secret" not in repr(source)
    with httpx2.Client() as client:
        download(client, source, target, check=check, progress=lambda _here, _total: None)
    assert [headers.get("authorization") for _, headers in server.seen] == ["Bearer secret", None]


def test_a_checksum_is_case_insensitive(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    check_sum(path, SHA256)
    check_sum(path, SHA256.upper())
    with pytest.raises(TransferError, match=SHA256):
        check_sum(path, SHA256[::-1])


def test_a_redirect_from_https_to_http_is_an_error(target: Path) -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme == "https":
            return httpx2.Response(302, headers={"location": "http://other/m.gguf"})
        return httpx2.Response(200, content=CONTENT)

    with httpx2.Client(transport=httpx2.MockTransport(respond)) as client:
        with pytest.raises(TransferError, match="from https to http"):
            download(
                client,
                Source("https://h/m.gguf"),
                target,
                check=check,
                progress=lambda _here, _total: None,
            )
    assert list(target.parent.iterdir()) == []


def test_a_download_by_two_commands_at_once_is_an_error(
    server: FileServer, target: Path, part: Path
) -> None:
    errors: list[str] = []
    server.halfway = lambda: errors.append(failure(server, target)) if not errors else None
    download_from(server, target)
    assert alone(target)
    assert errors == [f"another command is downloading {part}; wait until it has ended"]
    assert len(server.seen) == 1
