"""The whole endpoint over a model file, asked in this process."""

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
    """A model that is served; a context manager that loads and closes it.

    Args:
        path: A GGUF file.
        more: Settings that are not the usual ones.
    """

    def __init__(self, path: Path, **more: Any) -> None:
        settings = Settings(model=path, max_sequences=SEQUENCES, context=CONTEXT, threads=1, **more)
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
        """The control token of a text."""
        (token,) = self.vocabulary.tokenize(text, True)
        return token

    def ids(self, content: str = "Hello", **fields: Any) -> tuple[int, ...]:
        """Token ids of the prompt."""
        body = DedicatedChatCompletionBody.model_validate(_body(content, fields))
        return self._service.render(body).tokens

    def prompt(self, content: str = "Hello", **fields: Any) -> list[bytes]:
        """The pieces of the prompt."""
        return [self.vocabulary.token_bytes(t) for t in self.ids(content, **fields)]

    def text(self, content: str = "Hello", **fields: Any) -> str:
        """The prompt as text."""
        return b"".join(self.prompt(content, **fields)).decode()

    def call(self, *bodies: dict[str, Any]) -> list[Call]:
        """Calls that run together and have ended, in their order; of bodies' fields."""

        async def one(body: dict[str, Any]) -> Call:
            sent = json.dumps(_body(body.get("content", "Hello"), body)).encode()
            async with asyncio.timeout(BOUND):
                async with Call(self._app, "POST", COMPLETIONS, body=[sent]) as call:
                    return await call.done()

        async def all_of_them() -> list[Call]:
            return await asyncio.gather(*map(one, bodies))

        return self._runner.run(all_of_them())

    def ask(self, *bodies: dict[str, Any]) -> list[list[dict[str, Any]]]:
        """The choices of whole answers that are made together."""
        calls = self.call(*bodies)
        for call in calls:
            assert call.status == 200, call.body
        return [call.json["choices"] for call in calls]

    def choice(self, content: str = "Hello", **fields: Any) -> dict[str, Any]:
        """The one choice of a whole answer."""
        ((choice,),) = self.ask({"content": content, **fields})
        return choice

    def content(self, content: str = "Hello", **fields: Any) -> str:
        """The text of the one choice of a whole answer."""
        said: str = self.choice(content, **fields)["message"]["content"]
        return said

    def refused(self, **fields: Any) -> str:
        """The parameter that is blamed for a refusal."""
        (call,) = self.call(fields)
        assert call.status == 400, call.body
        blamed: str = call.json["error"]["param"]
        return blamed


def _body(content: str, fields: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in fields.items() if name != "content"}
    return {"model": "m", "messages": [{"role": "user", "content": content}], **rest}
