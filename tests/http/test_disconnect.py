"""Work for a client ends when the client disconnects."""

import asyncio
import json

import pytest

from friendli.models import DedicatedChatCompletionBody
from tests.http.scripted import (
    COMPLETIONS,
    VALID,
    Call,
    ScriptedResponse,
    ScriptedService,
    run,
    scripted_app,
)


class SlowService(ScriptedService):
    """A service that prepares requests until it is cancelled.

    Attributes:
        begun: Set when a request is being prepared.
        cancelled: Number of requests whose preparation was cancelled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def prepare(self, body: DedicatedChatCompletionBody) -> ScriptedResponse:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


@pytest.mark.parametrize("path", [COMPLETIONS, "/dedicated/v1/chat/render"])
def test_a_client_that_disconnects_cancels_the_preparation_of_its_request(path: str) -> None:
    async def scenario() -> None:
        service = SlowService()
        app = scripted_app(service)
        async with Call(app, "POST", path, body=[json.dumps(VALID).encode()]) as call:
            await service.begun.wait()
            call.disconnect()
            await call.done()
        assert service.cancelled == 1
        assert call.status == 0

    run(scenario)
