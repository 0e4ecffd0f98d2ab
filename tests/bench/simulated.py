"""Runs workloads on a scripted server in this process."""

import asyncio
import json
import time
from typing import Any

from friendli_endpoint.bench.load import RecordedResponse
from friendli_endpoint.bench.wire import Address, Request, body
from friendli_endpoint.bench.workload import PromptShape, RoundInputs, WorkloadResult
from friendli_endpoint.bench.workloads import WORKLOADS
from tests.bench.loopback import exact_reply

SHAPE = PromptShape(overhead=10, per_word=1.0)


ADDRESS = Address("s", "http://s/", "friendli", end_tokens=(0, 2))


class ScriptedServer:
    """A server in this process that records requests and sends scripted replies."""

    def __init__(self, reply: Any = exact_reply) -> None:
        self.requests: list[Request] = []
        self.ended: list[Request] = []
        self.reply = reply

    async def __call__(self, response: RecordedResponse) -> None:
        self.requests.append(response.request)
        response.sent = time.perf_counter()
        for payload in self.reply(json.loads(body(response.request, ADDRESS))):
            response.add(f"data: {json.dumps(payload)}\n\n".encode())
            await asyncio.sleep(0)
        self.ended.append(response.request)


async def run_on(name: str, server: ScriptedServer, inputs: RoundInputs) -> WorkloadResult:
    return await WORKLOADS[name].run(server, inputs)


def run_workload(
    name: str, seed: str = "a", reply: Any = exact_reply, run_seed: str = ""
) -> tuple[list[Request], WorkloadResult]:
    """Runs one round of a workload; returns its requests and its result."""
    server = ScriptedServer(reply)
    outcome = asyncio.run(run_on(name, server, RoundInputs(seed, SHAPE, run_seed)))
    return server.requests, outcome


def texts(requests: list[Request]) -> list[str]:
    return [request.messages[-1]["content"] for request in requests]


def first_words(requests: list[Request]) -> list[str]:
    return [text.split()[0] for text in texts(requests)]
