"""Opening files from untrusted paths: only regular files, without blocking on any other."""

import os
import socket
from pathlib import Path

import pytest

from friendli_endpoint import files
from friendli_endpoint.files import format_size, open_regular, private_copy, read_text


def test_a_regular_file_and_a_link_to_it_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"
            assert not os.get_inheritable(file.fileno())


@pytest.mark.timeout(20)
def test_a_fifo_is_rejected_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="is not a regular file"):
        open_regular(tmp_path / "fifo")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_rejected(path: str) -> None:
    with pytest.raises(OSError, match="is not a regular file"):
        read_text(Path(path))


def test_a_directory_a_socket_and_a_dangling_link_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError):
            open_regular(tmp_path / "socket")
    (tmp_path / "link").symlink_to("absent")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "link")


def test_descriptors_of_rejected_files_are_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(IsADirectoryError):
            open_regular(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_line_endings_are_normalized_to_line_feeds(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes("one\r\ntwo\rü\n".encode())
    assert read_text(tmp_path / "text") == "one\ntwo\nü\n"


def test_text_that_is_too_large_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 1 << 20)
    (tmp_path / "text").write_bytes(bytes(1 << 20))
    assert len(read_text(tmp_path / "text")) == 1 << 20
    (tmp_path / "text").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_text(tmp_path / "text")


def test_a_private_copy_does_not_change_and_is_deleted_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with private_copy(path) as copy:
        path.write_bytes(b"afterwards")
        assert copy.read_bytes() == b"before"
        assert copy.parent.stat().st_mode & 0o077 == 0
    assert not copy.exists() and not copy.parent.exists()


def test_sizes_are_in_decimal_megabytes() -> None:
    sizes = [0, 499_999, 98_177_024, 5_368_709_120]
    assert [format_size(size) for size in sizes] == ["0 MB", "0 MB", "98 MB", "5,369 MB"]
