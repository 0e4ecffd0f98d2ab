"""Published examples: those of the client's reference page, and of our documentation.

The two programs of the reference page are here, each also with async. Their text is that of the
page, which has lost all indentation beyond one space; only the last lines of the second program
are indented again, because they would not be valid Python otherwise.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from friendli.models import DedicatedChatCompletionBody

from . import documentation
from .documentation import Example
from .live import Live, Streamed, environment

COMPLETE = """\
import os

from friendli import SyncFriendli

with SyncFriendli(
 token=os.getenv("FRIENDLI_TOKEN", ""),
) as friendli:
 res = friendli.dedicated.chat.complete(
 model="(endpoint-id)",
 messages=[
 {
 "role": "system",
 "content": "You are a helpful assistant.",
 },
 {
 "role": "user",
 "content": "Hello!",
 },
 ],
 max_tokens=200,
 )

 # Handle response
 print(res)
"""

STREAM = """\
import os

from friendli import SyncFriendli

with SyncFriendli(
 token=os.getenv("FRIENDLI_TOKEN", ""),
) as friendli:
 res = friendli.dedicated.chat.stream(
 model="(endpoint-id)",
 messages=[
 {
 "role": "system",
 "content": "You are a helpful assistant.",
 },
 {
 "role": "user",
 "content": "Hello!",
 },
 ],
 max_tokens=200,
 )

 with res as event_stream:
  for event in event_stream:
   # handle event
   print(event, flush=True)
"""

ASYNC_COMPLETE = """\
import asyncio
import os

from friendli import AsyncFriendli


async def main():
    async with AsyncFriendli(token=os.getenv("FRIENDLI_TOKEN", "")) as friendli:
        res = await friendli.dedicated.chat.complete(
            model="(endpoint-id)",
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
            max_tokens=200,
        )
        print(res)


asyncio.run(main())
"""

ASYNC_STREAM = """\
import asyncio
import os

from friendli import AsyncFriendli


async def main():
    async with AsyncFriendli(token=os.getenv("FRIENDLI_TOKEN", "")) as friendli:
        res = await friendli.dedicated.chat.stream(
            model="(endpoint-id)",
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Hello!"},
            ],
            max_tokens=200,
        )
        async with res as event_stream:
            async for event in event_stream:
                print(event, flush=True)


asyncio.run(main())
"""


def printed(program: str, live: Live, token: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(FRIENDLI_BASE_URL=live.address, **token),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize(
    ("program", "token"),
    [(COMPLETE, {}), (COMPLETE, {"FRIENDLI_TOKEN": "flp_secret"}), (ASYNC_COMPLETE, {})],
    ids=["sync", "sync with a token", "async"],
)
def test_the_example_of_complete_prints_a_completion(
    live: Live, program: str, token: dict[str, str]
) -> None:
    (line,) = printed(program, live, token).splitlines()
    assert re.match(r"id='[^']+' choices=\[ChatChoice\(index=0, message=ChatChoiceMessage\(", line)
    assert re.search(r"content=(['\"]).+\1", line)
    assert "role='assistant'" in line
    used = re.search(r"prompt_tokens=(\d+), completion_tokens=(\d+), total_tokens=(\d+)", line)
    assert used is not None
    prompt, completion, total = map(int, used.groups())
    assert prompt + completion == total
    assert 1 <= completion <= 200


@pytest.mark.parametrize("program", [STREAM, ASYNC_STREAM], ids=["sync", "async"])
def test_the_example_of_stream_prints_events(live: Live, program: str) -> None:
    lines = printed(program, live, {}).splitlines()
    assert all(line.startswith("data=StreamedChatData(id='") for line in lines)
    assert "role='assistant'" in lines[0]
    assert re.search(r"finish_reason='(stop|length)'", lines[-1])
    assert 3 <= len(lines) <= 202


# ── docs/parameters.md ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("example", documentation.examples(), ids=str)
def test_answers_have_the_facts_that_the_parameters_page_states(
    live: Live, example: Example
) -> None:
    response = live.post(example.body)
    assert response.status_code == example.status, response.text
    if example.status != 200:
        error = response.json()["error"]
        facts = [f"`{error['code']}`", f"`{error['param']}`", error["message"]]
        assert list(example.facts) == [fact for fact in facts if fact != "`None`"]
        return
    if response.headers["content-type"].startswith("text/event-stream"):
        streamed = Streamed()
        for line in response.text.split("\n"):
            streamed.add(line)
        answer = {"chunks": streamed.chunks}
    else:
        answer = response.json()
    assert example.facts
    for fact in example.facts:
        left, right = fact.strip("`").split("` = `")
        assert documentation.value(left, answer) == documentation.value(right, answer), fact


def test_the_parameters_page_has_a_heading_for_every_field() -> None:
    assert set(DedicatedChatCompletionBody.model_fields) <= documentation.named()


def test_every_body_of_the_parameters_page_is_parsed() -> None:
    assert len(documentation.examples()) == documentation.PAGE.count("```json\n") > 80


@pytest.mark.parametrize("program", documentation.programs())
def test_programs_of_the_parameters_page_run(live: Live, program: str) -> None:
    assert printed(program, live, {}).strip()


# ── examples/ ────────────────────────────────────────────────────────────────────────────────

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(example: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(example)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "complete: " in ended.stdout
    assert "stream: " in ended.stdout
