"""Transfers from a server that breaks off, changes its mind or has the wrong file."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from friendli_endpoint.cli.transfer import Source, TransferError, bring, check_sum

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


def brought(
    server: FileServer, target: Path, sha256: str | None = None, url: str = "{}/m.gguf"
) -> list[tuple[int, int | None]]:
    """What was told of the progress of a transfer."""
    told: list[tuple[int, int | None]] = []
    source = Source(url.format(server.url), sha256=sha256)
    with httpx2.Client() as client:
        bring(
            client,
            source,
            target,
            check=check,
            progress=lambda here, total: told.append((here, total)),
        )
    return told


def check(path: Path) -> None:
    if path.read_bytes().startswith(b"<html>"):
        raise TransferError("this is a page")


def failure(server: FileServer, target: Path, sha256: str | None = None) -> str:
    """The one sentence of a transfer that did not work."""
    with pytest.raises(TransferError) as caught:
        brought(server, target, sha256)
    (line,) = str(caught.value).splitlines()
    return line


def starts(server: FileServer) -> list[str | None]:
    return [headers.get("range") for _, headers in server.seen]


def alone(target: Path) -> bool:
    """Whether the file is there, right, and nothing else is."""
    return target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]


def test_a_connection_that_breaks_is_followed_by_another(server: FileServer, target: Path) -> None:
    server.cuts = [100_000, 50_000]
    brought(server, target)
    assert starts(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert alone(target)


def test_what_came_is_kept_when_nothing_more_does(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    said = failure(server, target)
    assert "100,000 bytes are kept" in said
    assert str(part) in said
    assert part.read_bytes() == CONTENT[:100_000]
    assert not target.exists()
    brought(server, target)
    assert starts(server)[2:] == ["bytes=100000-"]
    assert alone(target)


def test_a_connection_that_keeps_breaking_is_given_up(server: FileServer, target: Path) -> None:
    server.cuts = [1000] * 100
    assert "the connection broke" in failure(server, target)
    assert len(server.seen) < 10


def test_a_server_without_ranges_starts_over(server: FileServer, target: Path) -> None:
    server.cuts = [100_000]
    server.ranges = False
    brought(server, target)
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
    brought(server, target)
    assert alone(target)


def test_a_part_that_is_complete_is_only_checked(
    server: FileServer, target: Path, part: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    part.write_bytes(CONTENT)
    brought(server, target)
    assert alone(target)


def test_a_part_that_is_too_long_starts_over(server: FileServer, target: Path, part: Path) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    part.write_bytes(CONTENT + b"and more")
    brought(server, target)
    assert alone(target)


def test_a_wrong_checksum_leaves_nothing(server: FileServer, target: Path) -> None:
    said = failure(server, target, sha256="0" * 64)
    assert SHA256 in said
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_seen_before_anything_is_brought(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent.parent)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    said = failure(server, target)
    assert "1,000 are free" in said
    assert f"{len(CONTENT):,} bytes" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_fills_up_is_one_sentence(server: FileServer, target: Path, part: Path) -> None:
    target.parent.mkdir()
    part.symlink_to("/dev/full")
    assert "there is no room" in failure(server, target)
    assert not target.exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    assert "cannot write" in failure(server, tmp_path / "models" / "m.gguf")


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_of_the_server_is_one_sentence(
    server: FileServer, target: Path, status: int
) -> None:
    server.status = status
    said = failure(server, target)
    assert str(status) in said
    assert ("HF_TOKEN" in said) == (status == 401)


def test_a_server_that_is_not_there_is_one_sentence(target: Path) -> None:
    gone = FileServer(b"")
    gone.close()
    assert "connection" in failure(gone, target)


def test_what_the_check_refuses_leaves_nothing(server: FileServer, target: Path) -> None:
    server.content = b"<html>Please log in</html>"
    assert failure(server, target) == "this is a page"
    assert list(target.parent.iterdir()) == []


def test_an_address_that_is_none_is_one_sentence(server: FileServer, target: Path) -> None:
    with pytest.raises(TransferError, match="this is no address"):
        brought(server, target, url="http://h:x/m.gguf")


def test_progress_is_told_from_where_it_goes_on_to_the_end(
    server: FileServer, target: Path
) -> None:
    server.cuts = [100_000, 0]
    failure(server, target)
    told = brought(server, target)
    whole = len(CONTENT)
    assert told[0] == (100_000, whole)
    assert told[-1] == (whole, whole)
    assert told == sorted(told)


@pytest.mark.parametrize("named", [SHA256, "0" * 64, "no checksum"])
def test_a_checksum_that_is_asked_for_goes_before_the_one_of_a_hub(
    server: FileServer, target: Path, named: str
) -> None:
    server.redirect = {"x-linked-etag": f'"{named}"'}
    brought(server, target, sha256=SHA256.upper())
    assert alone(target)


@pytest.mark.parametrize(("named", "counts"), [("0" * 64, True), ("0" * 40, False)])
def test_a_hub_is_believed_where_it_names_a_checksum(
    server: FileServer, target: Path, named: str, counts: bool
) -> None:
    server.redirect = {"x-linked-etag": f'"{named}"'}
    if counts:
        assert "checksum" in failure(server, target)
        assert not target.exists()
    else:
        brought(server, target)
        assert alone(target)


def test_headers_are_sent_to_the_first_host_alone_and_not_shown(
    server: FileServer, target: Path
) -> None:
    server.redirect = {}
    source = Source(f"{server.url}/m.gguf", {"authorization": "Bearer secret"})
    assert "secret" not in repr(source)
    with httpx2.Client() as client:
        bring(client, source, target, check=check, progress=lambda _here, _total: None)
    assert [headers.get("authorization") for _, headers in server.seen] == ["Bearer secret", None]


def test_a_checksum_is_one_of_any_case(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    check_sum(path, SHA256)
    check_sum(path, SHA256.upper())
    with pytest.raises(TransferError, match=SHA256):
        check_sum(path, SHA256[::-1])
