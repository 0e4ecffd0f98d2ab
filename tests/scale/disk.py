"""A small disk that can be filled up."""

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.load.faults import fill, mount

__all__ = ["Disk", "small_disk"]


class Disk:
    """A disk, or a folder that is moved away instead of filled if this user may not mount one.

    Attributes:
        folder: A folder on it.
    """

    def __init__(self, root: Path, is_mounted: bool) -> None:
        self.folder = root / "files"
        self.folder.mkdir()
        self._other = root / "other"
        self._is_mounted = is_mounted

    def fill(self) -> None:
        """Uses all space, and all files that the disk can have."""
        if not self._is_mounted:
            self.folder.rename(self._other)
            return
        self._other.mkdir()
        fill(self._other / "space")
        with contextlib.suppress(OSError):
            for number in itertools.count():
                (self._other / str(number)).touch()

    def free(self) -> None:
        """Undoes `fill`."""
        if self._is_mounted:
            shutil.rmtree(self._other)
        else:
            self._other.rename(self.folder)


@contextmanager
def small_disk(root: Path) -> Iterator[Disk]:
    """Mounts a disk of 8 MiB and 64 files on a folder, if this user may."""
    is_mounted = mount(str(root), "8m,nr_inodes=64")
    try:
        yield Disk(root, is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", str(root)], check=True)
