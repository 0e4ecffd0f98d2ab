"""Prepares requests: in worker processes that can be killed, or in threads of this process."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Protocol

from cachetools import TTLCache

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatModel
from friendli_endpoint.chat.prepared import PreparedRequest
from friendli_endpoint.chat.worker import (
    TokenizedText,
    decode_body,
    decode_outcome,
    encode_body,
    encode_text,
)
from friendli_endpoint.generation import RequestError
from friendli_endpoint.workers import (
    WorkerCrashError,
    WorkerPool,
    WorkersBusyError,
    WorkerStartError,
    WorkerTimeoutError,
)

__all__ = ["Preparer", "ThreadPreparer", "WorkerPreparer"]

log = logging.getLogger("friendli_endpoint")

CODE = "too_complex"
"""Error code of a request that takes too much CPU time or memory to prepare."""

_CONSTRAINTS = ("response_format", "tools")
_MAX_KEPT, _KEPT_SECONDS = 1024, 600.0
"""Constraints that took too long, and for how long they are rejected without another try."""


class Preparer(Protocol):
    """Prepares requests for one model."""

    async def prepare(self, body: DedicatedChatCompletionBody) -> PreparedRequest:
        """Validates and prepares a request.

        Raises:
            RequestError: The request is invalid, or cannot be prepared now.
        """
        ...

    async def tokenize(self, text: str, special: bool) -> list[int]:
        """Tokenizes a text; see `ChatModel.tokenize`.

        Raises:
            RequestError: The text is too long, or cannot be tokenized now.
        """
        ...

    def close(self) -> None:
        """Ends the work that runs; may be called again, and from any thread."""
        ...


class ThreadPreparer:
    """Prepares requests in threads of this process, without limits on time and memory.

    Args:
        chat: The model.
    """

    def __init__(self, chat: ChatModel) -> None:
        self._chat = chat

    async def prepare(self, body: DedicatedChatCompletionBody) -> PreparedRequest:
        """Implements `Preparer`."""
        return await asyncio.to_thread(self._chat.prepare, body)

    async def tokenize(self, text: str, special: bool) -> list[int]:
        """Implements `Preparer`."""
        return await asyncio.to_thread(self._chat.tokenize, text, special)

    def close(self) -> None:
        """Does nothing, because a thread cannot be interrupted."""


class WorkerPreparer:
    """Prepares requests in worker processes; cancelling a call kills its worker.

    A constraint that uses up the limits is remembered by its hash, so that sending it again costs
    nothing.

    Args:
        pool: Workers with the handler of `chat/worker.py`; owned by this object.
        cpu_seconds: CPU time that a worker may spend on a request, as the pool was given.
        record_compile: Called with the duration of each compilation of a constraint, in seconds.
    """

    def __init__(
        self,
        pool: WorkerPool,
        cpu_seconds: float,
        record_compile: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._pool = pool
        self._cpu_seconds = cpu_seconds
        self._record_compile = record_compile
        self._rejected: TTLCache[bytes, RequestError] = TTLCache(_MAX_KEPT, _KEPT_SECONDS)

    async def prepare(self, body: DedicatedChatCompletionBody) -> PreparedRequest:
        """Implements `Preparer`."""
        job = await asyncio.to_thread(encode_body, body)
        del body
        if self._rejected:  # hashing large tools takes time that almost no request need take
            digest = await asyncio.to_thread(_hash_constraints, job)
            if digest is not None and digest in self._rejected:
                raise self._rejected[digest]
        try:
            result = await self._run(job)
        except (WorkerTimeoutError, WorkerCrashError) as error:
            too_complex = self._too_complex(error)
            if error.field in _CONSTRAINTS:
                digest = await asyncio.to_thread(_hash_constraints, job)
                if digest is not None:
                    self._rejected[digest] = too_complex
            raise too_complex from error
        assert isinstance(result, PreparedRequest)
        return result

    async def tokenize(self, text: str, special: bool) -> list[int]:
        """Implements `Preparer`."""
        try:
            result = await self._run(encode_text(text, special))
        except (WorkerTimeoutError, WorkerCrashError) as error:
            raise self._too_complex(error) from error
        assert isinstance(result, TokenizedText)
        return list(result.token_ids)

    async def _run(self, job: bytes) -> PreparedRequest | TokenizedText:
        """Runs a job.

        Raises:
            RequestError: The request is invalid, or the job cannot be run now.
            WorkerTimeoutError, WorkerCrashError: See `WorkerPool.run`.
        """
        try:
            outcome = decode_outcome(await self._pool.run(job))
        except WorkersBusyError:
            message = "too many requests are being prepared; try again later"
            raise RequestError(message, status=503, code="workers_busy", retry_after=1) from None
        except WorkerStartError as error:
            log.error("%s", error)
            raise RequestError(
                "requests cannot be prepared now", status=503, code="workers_failed", retry_after=1
            ) from error
        for seconds in outcome.compile_seconds:
            self._record_compile(seconds)
        if isinstance(outcome.result, RequestError):
            raise outcome.result
        return outcome.result

    def close(self) -> None:
        """Kills the workers."""
        self._pool.close()

    def _too_complex(self, error: WorkerTimeoutError | WorkerCrashError) -> RequestError:
        subject = error.field or "the request"
        if isinstance(error, WorkerTimeoutError):
            message = f"{subject} takes more than {self._cpu_seconds:g} s of CPU time to prepare"
        else:
            log.warning("a worker ended while preparing %s: %s", subject, error.reason)
            message = f"{subject} cannot be prepared: {error.reason}"
        return RequestError(message, param=error.field or None, code=CODE)


def _hash_constraints(job: bytes) -> bytes | None:
    """Returns a hash of the fields that constrain the output, or None if a job has none."""
    body = decode_body(job)
    if not (body.response_format or body.tools):
        return None
    fields = body.model_dump_json(include=set(_CONSTRAINTS), by_alias=True, exclude_unset=True)
    return hashlib.blake2b(fields.encode(), digest_size=16).digest()
