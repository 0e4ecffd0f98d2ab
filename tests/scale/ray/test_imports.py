"""Serving without Ray imports nothing of it, although it is installed."""

import subprocess
import sys

PROGRAM = """
import sys
from friendli_endpoint import ray_app
from friendli_endpoint.app import source_of
from friendli_endpoint.cli import commands, serve
from friendli_endpoint.server import run
from friendli_endpoint.settings import Settings

for settings in (Settings(), Settings(engines=2), Settings(ray="local")):
    source_of(settings).check()
found = [name for name in sys.modules if name.partition(".")[0] == "ray"]
assert not found, found
"""


def test_nothing_of_ray_is_imported_before_a_cluster_is_used() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
    ended = subprocess.run([sys.executable, "-c", "import ray"], check=False)
    assert ended.returncode == 0, "Ray is installed"
