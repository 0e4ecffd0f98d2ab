"""The whole endpoint over a model file, called in this process."""

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.app import create_app, source_of
from friendli_endpoint.generation import Vocabulary
from friendli_endpoint.http.policy import Policy
from friendli_endpoint.service import EndpointService
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Telemetry
from tests.http.scripted import BOUND, COMPLETIONS, Call

__all__ = ["Served"]

SEQUENCES, CONTEXT = 4, 512


class Served:
    """A served model; a context manager that loads and closes it.

    Args:
        path: A GGUF file.
        extra: Further settings.
    """

    def __init__(self, path: Path, **extra: Any) -> None:
        settings = Settings(
            model=path, max_sequences=SEQUENCES, context=CONTEXT, threads=1, **extra
        )
        self._service = EndpointService(settings, source_of(settings), Telemetry())
        self._app = create_app(self._service, Policy(max_body=1 << 20))
        self._runner = asyncio.Runner()

    def __enter__(self) -> "Served":
        self._service.load()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._service.aclose())
        self._runner.close()

    @property
    def name(self) -> str:
        return self._service.engine.card.name

    @property
    def vocabulary(self) -> Vocabulary:
        assert self._service._model is not None
        return self._service._model.vocabulary

    def token(self, text: str) -> int:
        """Returns the id of a control token."""
        (token,) = self.vocabulary.tokenize(text, True)
        return token

    def ids(self, content: str = "Hello", **fields: Any) -> tuple[int, ...]:
        """Returns the token ids of the rendered prompt."""
        body = DedicatedChatCompletionBody.model_validate(_body(content, fields))
        return asyncio.run(self._service.render(body)).tokens

    def prompt(self, content: str = "Hello", **fields: Any) -> list[bytes]:
        """Returns the token bytes of the rendered prompt."""
        return [self.vocabulary.token_bytes(t) for t in self.ids(content, **fields)]

    def text(self, content: str = "Hello", **fields: Any) -> str:
        """Returns the rendered prompt as text."""
        return b"".join(self.prompt(content, **fields)).decode()

    def call(self, *bodies: dict[str, Any]) -> list[Call]:
        """Sends requests with these fields concurrently; returns the finished calls in order."""

        async def call_app(body: dict[str, Any]) -> Call:
            sent = json.dumps(_body(body.get("content", "Hello"), body)).encode()
            async with asyncio.timeout(BOUND):
                async with Call(self._app, "POST", COMPLETIONS, body=[sent]) as call:
                    return await call.done()

        async def call_all() -> list[Call]:
            return await asyncio.gather(*map(call_app, bodies))

        return self._runner.run(call_all())

    def ask(self, *bodies: dict[str, Any]) -> list[list[dict[str, Any]]]:
        """Sends requests concurrently; returns the choices of each completion."""
        calls = self.call(*bodies)
        for call in calls:
            assert call.status == 200, call.body
        return [call.json["choices"] for call in calls]

    def choice(self, content: str = "Hello", **fields: Any) -> dict[str, Any]:
        """Returns the only choice of a completion."""
        ((choice,),) = self.ask({"content": content, **fields})
        return choice

    def content(self, content: str = "Hello", **fields: Any) -> str:
        """Returns the text of the only choice of a completion."""
        text: str = self.choice(content, **fields)["message"]["content"]
        return text

    def rejected_param(self, **fields: Any) -> str:
        """Sends an invalid request; returns the `param` of its error."""
        (call,) = self.call(fields)
        assert call.status == 400, call.body
        param: str = call.json["error"]["param"]
        return param


def _body(content: str, fields: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name != "content"}
    return {"model": "m", "messages": [{"role": "user", "content": content}], **rest}
