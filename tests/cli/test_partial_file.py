"""The part of a file on disk: one writer, and only what is known to belong together."""

from pathlib import Path

import pytest

from friendli_endpoint.cli.partial_file import PartialFile, RemoteFile, strong_etag

REMOTE = RemoteFile.of("http://h/m?secret", '"one"', 10)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "m.gguf"


def test_a_part_is_kept_with_what_is_known_of_its_file(target: Path) -> None:
    with PartialFile(target) as part:
        part.begin(0, REMOTE)
        part.write(b"abcdef")
    with PartialFile(target) as part:
        assert (part.size, part.remote) == (6, REMOTE)
        assert REMOTE.is_at("http://h/m?secret") and not REMOTE.is_at("http://h/m")
        part.begin(3, REMOTE)
        part.write(b"DEF")
        part.finish()
    assert target.read_bytes() == b"abcDEF"
    assert list(target.parent.iterdir()) == [target]


def test_the_files_on_disk_do_not_contain_the_address(target: Path) -> None:
    with PartialFile(target) as part:
        part.begin(0, REMOTE)
        part.write(b"a")
    assert not any(b"secret" in path.read_bytes() for path in target.parent.iterdir())


def test_an_empty_part_is_deleted(target: Path) -> None:
    with PartialFile(target) as part:
        part.begin(0, REMOTE)
    assert list(target.parent.iterdir()) == []


def test_a_part_has_one_writer(target: Path) -> None:
    with PartialFile(target), pytest.raises(BlockingIOError), PartialFile(target):
        raise AssertionError("two writers")
    with PartialFile(target):
        pass


@pytest.mark.parametrize(
    "state", [b"", b"\xff", b"[]", b"{}", b"null", b'{"address": 1, "etag": 2, "size": 3}']
)
def test_a_damaged_description_counts_as_none(target: Path, state: bytes) -> None:
    target.with_name("m.gguf.part.json").write_bytes(state)
    with PartialFile(target) as part:
        assert part.remote is None


@pytest.mark.parametrize(
    ("value", "is_strong"),
    [
        ('"a"', True),
        ('""', True),
        ('W/"a"', False),
        ("a", False),
        ("", False),
        ('"a"b"', False),
        ('"a b"', False),
        ('"a', False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", False),
        (None, False),
    ],
)
def test_only_a_strong_etag_identifies_the_bytes_of_a_file(
    value: str | None, is_strong: bool
) -> None:
    assert strong_etag(value) == (value if is_strong else None)
