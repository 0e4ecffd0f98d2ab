"""Workloads that are played on a server in this process."""

import asyncio
import json
import time
from typing import Any

from friendli_endpoint.bench.load import Reception
from friendli_endpoint.bench.wire import Address, Request, body
from friendli_endpoint.bench.workload import Outcome, Shape, Stage
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.loopback import obedient

SHAPE = Shape(overhead=10, per_word=1.0)


ADDRESS = Address("s", "http://s/", "friendli", end_tokens=(0, 2))


class Scripted:
    """A server in this process: keeps requests, and answers each in one go."""

    def __init__(self, reply: Any = obedient) -> None:
        self.requests: list[Request] = []
        self.ended: list[Request] = []
        self.reply = reply

    async def __call__(self, reception: Reception) -> None:
        self.requests.append(reception.request)
        reception.sent = time.perf_counter()
        for payload in self.reply(json.loads(body(reception.request, ADDRESS))):
            reception.take(f"data: {json.dumps(payload)}\n\n".encode())
            await asyncio.sleep(0)
        self.ended.append(reception.request)


async def outcome_of(name: str, server: Scripted, stage: Stage) -> Outcome:
    return await WORKLOADS[name].run(server, stage)


def played(
    name: str, seed: str = "a", reply: Any = obedient, run: str = ""
) -> tuple[list[Request], Outcome]:
    """What a round of a workload asks for, and what it comes to."""
    server = Scripted(reply)
    outcome = asyncio.run(outcome_of(name, server, Stage(seed, SHAPE, run)))
    return server.requests, outcome


def texts(requests: list[Request]) -> list[str]:
    return [request.messages[-1]["content"] for request in requests]


def first_words(requests: list[Request]) -> list[str]:
    return [text.split()[0] for text in texts(requests)]
