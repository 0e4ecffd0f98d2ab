"""The limit of open files of `serve`, and exceptions that nothing handles."""

import asyncio
import json
import logging
import subprocess
import sys

import pytest

from friendli_endpoint.server.run import report_exception
from tests.contract.live import environment

CASES = {
    (100, 400): (400, False),
    (300, 400): (300, False),
    (100, 150): (150, True),
    (150, 150): (150, True),
}
"""Maps a soft and a hard limit to the soft limit afterwards, and whether a warning is logged."""

PROGRAM = """
import json, logging, os, resource, sys
from friendli_endpoint.server.run import _raise_file_limit

logging.basicConfig(format="%(message)s", stream=sys.stdout)
for limits in json.loads(sys.argv[1]):
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        _raise_file_limit(200)
        print(json.dumps(resource.getrlimit(resource.RLIMIT_NOFILE)), flush=True)
        os._exit(0)
    os.wait()
    print(flush=True)
"""
"""Runs each case in its own process, as a lowered hard limit cannot be raised again."""


@pytest.fixture(scope="module")
def outputs() -> dict[tuple[int, int], str]:
    """Outputs by case."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(CASES))]
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    assert ended.stderr == ""
    return dict(zip(CASES, ended.stdout.rstrip("\n").split("\n\n"), strict=True))


@pytest.mark.parametrize(("soft", "hard"), CASES)
def test_the_limit_of_open_files_is_raised_as_far_as_allowed(
    soft: int, hard: int, outputs: dict[tuple[int, int], str]
) -> None:
    raised, is_warned = CASES[soft, hard]
    *warnings, limits = outputs[soft, hard].splitlines()
    assert json.loads(limits) == [raised, hard]
    assert ("--max-connections" in "".join(warnings)) is is_warned


@pytest.mark.parametrize(
    ("error", "is_short"),
    [(MemoryError(), True), (RuntimeError("can't start new thread"), True), (KeyError("a"), False)],
)
def test_a_callback_without_memory_is_logged_in_one_sentence(
    caplog: pytest.LogCaptureFixture, error: Exception, is_short: bool
) -> None:
    async def main() -> None:
        def fail() -> None:
            raise error

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(report_exception)
        loop.call_soon(fail)
        await asyncio.sleep(0)

    caplog.set_level(logging.ERROR)
    asyncio.run(main())
    [record] = caplog.records
    assert (record.exc_info is None) is is_short
    assert ("there is not enough memory" in record.getMessage()) is is_short
