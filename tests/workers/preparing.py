"""The handler that prepares requests, with models that spin or crash while a field is prepared."""

import os
import pickle
import signal
from collections.abc import Callable

from friendli_endpoint.chat import worker
from friendli_endpoint.chat.conversation import ChatDefaults
from friendli_endpoint.generation import Vocabulary
from friendli_endpoint.workers import Handler

__all__ = ["FACTORY", "load"]

FACTORY = "tests.workers.preparing:load"


def load(load_vocabulary: Callable[[], Vocabulary]) -> Callable[..., Handler]:
    """Does what `chat.worker.load` does, but for models and texts `spin:FIELD`, `crash:FIELD`."""
    make_real_handler = worker.load(load_vocabulary)

    def make_handler(template: str, context: int, defaults: ChatDefaults) -> Handler:
        prepare = make_real_handler(template, context, defaults)

        def handle(job: bytes, report: Callable[[str], None]) -> bytes:
            content = pickle.loads(job)
            name = content.text if isinstance(content, worker.TextJob) else content.model
            fault, _, field = name.partition(":")
            if fault in ("spin", "crash"):
                report(field)
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            while fault == "spin":
                pass
            return prepare(job, report)

        return handle

    return make_handler
