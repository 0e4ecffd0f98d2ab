"""Prepares requests in a worker process, which may be killed, and returns them as msgpack.

The result is msgpack rather than a pickle: a worker runs the chat template of a model file, and
nothing that it returns must be able to run code in the endpoint's process.
"""

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.prepared import PreparedRequest
from friendli_endpoint.generation import RequestError, Vocabulary
from friendli_endpoint.generation.codec import Codec
from friendli_endpoint.workers import Handler

__all__ = [
    "FACTORY",
    "Outcome",
    "TextJob",
    "TokenizedText",
    "decode_body",
    "decode_outcome",
    "encode_body",
    "encode_text",
    "load",
]

FACTORY = "friendli_endpoint.chat.worker:load"


@dataclass(frozen=True, slots=True)
class TextJob:
    """A text to tokenize.

    Attributes:
        text: The text.
        special: Whether control tokens written out in it are recognised.
    """

    text: str
    special: bool


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """The tokens of a text."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a job.

    Attributes:
        result: The prepared request, the tokens of a text, or the reason why it is rejected.
        compile_seconds: Duration of each compilation of a constraint, in seconds.
    """

    result: PreparedRequest | TokenizedText | RequestError
    compile_seconds: tuple[float, ...]


_OUTCOMES: Codec[Outcome] = Codec(Outcome)


def load(load_vocabulary: Callable[[], Vocabulary]) -> Callable[..., Handler]:
    """Loads a vocabulary, and returns a function that makes the handler of a worker.

    Args:
        load_vocabulary: Loads the vocabulary.

    Returns:
        A function of the chat template, the context in tokens, and the `ChatDefaults`.
    """
    rules = RuleCompiler(load_vocabulary())

    def make_handler(template: str, context: int, defaults: ChatDefaults) -> Handler:
        compile_seconds: list[float] = []
        chat = ChatModel(rules, template, context, defaults, compile_seconds.append)

        def handle(job: bytes, report: Callable[[str], None]) -> bytes:
            compile_seconds.clear()
            content: DedicatedChatCompletionBody | TextJob = pickle.loads(job)
            result: PreparedRequest | TokenizedText | RequestError
            try:
                if isinstance(content, TextJob):
                    report("prompt")
                    result = TokenizedText(tuple(chat.tokenize(content.text, content.special)))
                else:
                    result = chat.prepare(content, report)
            except RequestError as error:
                result = error
            return _OUTCOMES.encode(Outcome(result, tuple(compile_seconds)))

        return handle

    return make_handler


def encode_body(body: DedicatedChatCompletionBody) -> bytes:
    """Returns the job that prepares a request."""
    job = io.BytesIO()
    pickler = pickle.Pickler(job, pickle.HIGHEST_PROTOCOL)
    # A body is a tree: the table of the objects written so far, 60 bytes for each, is of no use.
    pickler.fast = True
    pickler.dump(body)
    return job.getvalue()


def encode_text(text: str, special: bool) -> bytes:
    """Returns the job that tokenizes a text; see `TextJob`."""
    return pickle.dumps(TextJob(text, special), pickle.HIGHEST_PROTOCOL)


def decode_body(job: bytes) -> DedicatedChatCompletionBody:
    """Returns the body in a job, which must come from `encode_body`."""
    body: DedicatedChatCompletionBody = pickle.loads(job)
    return body


def decode_outcome(result: bytes) -> Outcome:
    """Returns the outcome in the result of a job.

    Raises:
        ValueError: The result is not an outcome.
    """
    return _OUTCOMES.decode(result)
