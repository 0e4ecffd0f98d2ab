"""Loads a model: its vocabulary, its engine, and the workers that prepare its requests."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from friendli_endpoint.chat.conversation import ChatDefaults, ChatModel
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.prompt.template import ChatTemplateError
from friendli_endpoint.chat.request.rules import Limits
from friendli_endpoint.chat.worker import FACTORY
from friendli_endpoint.files import read_text
from friendli_endpoint.generation import (
    Engine,
    GuideMaker,
    StartError,
    StepReport,
    Vocabulary,
    VocabularySource,
)
from friendli_endpoint.preparation import Preparer, ThreadPreparer, WorkerPreparer
from friendli_endpoint.settings import Settings
from friendli_endpoint.telemetry import Metrics
from friendli_endpoint.workers import Setup, WorkerPool, WorkerStartError

__all__ = ["LoadedModel", "ModelSource", "load_model", "read_template"]

MAX_WORKERS = 4
"""Default for machines with more processors: preparing a request takes some milliseconds."""

WORKER_MEMORY = 2 << 30
"""Bytes of address space that preparing a request may take; the longest prompts need 1.4 GiB of
stack to be tokenized, most of which is never used."""

WORKER_WAIT_SECONDS = 10.0
"""Time for which a request may wait for a worker."""


class ModelSource(VocabularySource, Protocol):
    """A model that can be served, with its engine.

    `vocabulary`, `vocabulary_loader` and `open` are called once, in this order, in a worker thread.
    """

    def open(self, make_guide: GuideMaker, report: Callable[[StepReport], None]) -> Engine:
        """Loads the model and starts its engine; may block for seconds.

        Args:
            make_guide: Makes the guide of a choice; called on the engine's thread.
            report: Called after every step, on the engine's thread; must not block or raise.

        Raises:
            StartError: The model cannot be served.
        """
        ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model and its engine.

    Attributes:
        engine: Runs requests; closed by the owner of this object.
        chat: Makes responses from prepared requests.
        preparer: Prepares requests; closed by the owner of this object.
        vocabulary: The model's tokens.
    """

    engine: Engine
    chat: ChatModel
    preparer: Preparer
    vocabulary: Vocabulary


def load_model(source: ModelSource, settings: Settings, metrics: Metrics) -> LoadedModel:
    """Loads a model and starts its engine and workers; takes a second or more.

    Args:
        source: The model.
        settings: Settings of the endpoint.
        metrics: Receives the engine's steps and compilations of constraints.

    Raises:
        StartError: The model cannot be served.
    """
    vocabulary = source.vocabulary()
    with contextlib.ExitStack() as stack:
        pool = _worker_pool(source, settings)  # loads while the engine opens
        if pool is not None:
            stack.callback(pool.close)
        rules = RuleCompiler(vocabulary)
        engine = source.open(rules.guide, metrics.record_step)
        stack.callback(lambda: asyncio.run(engine.aclose()))
        metrics.watch(engine)
        try:
            chat, preparer = _chat(rules, engine, pool, settings, metrics)
        except (ChatTemplateError, KeyError, WorkerStartError) as error:
            raise StartError(str(error.args[0])) from error
        stack.pop_all()
    return LoadedModel(engine, chat, preparer, vocabulary)


def read_template(settings: Settings) -> str | None:
    """Returns the chat template of the settings, or None if they have none.

    Raises:
        StartError: The file cannot be read.
    """
    path = settings.chat_template
    try:
        return read_text(path) if path is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read the chat template {path}: {error}") from error


def _worker_pool(source: ModelSource, settings: Settings) -> WorkerPool | None:
    size = settings.workers
    if size is None:
        size = min(os.cpu_count() or 1, MAX_WORKERS) if hasattr(os, "fork") else 0
    if size == 0:
        return None
    loader = source.vocabulary_loader()
    setup = Setup(FACTORY, (loader,), settings.prepare_seconds, WORKER_MEMORY)
    return WorkerPool(setup, size=size, wait_seconds=WORKER_WAIT_SECONDS)


def _chat(
    rules: RuleCompiler,
    engine: Engine,
    pool: WorkerPool | None,
    settings: Settings,
    metrics: Metrics,
) -> tuple[ChatModel, Preparer]:
    template, context = _template_of(engine, settings), engine.card.context
    defaults = ChatDefaults(
        endpoint_ids=settings.endpoint_id,
        tool_family=settings.tool_family,
        parse_reasoning=settings.parse_reasoning,
        json_layout=settings.json_layout,
        limits=Limits(settings.max_choices),
    )
    chat = ChatModel(rules, template, context, defaults, metrics.record_compile)
    if pool is None:
        return chat, ThreadPreparer(chat)
    pool.start(template, context, defaults)
    return chat, WorkerPreparer(pool, settings.prepare_seconds, metrics.record_compile)


def _template_of(engine: Engine, settings: Settings) -> str:
    template = read_template(settings) or engine.card.chat_template
    if template is None:
        raise StartError(f"{engine.card.name} has no chat template; set --chat-template")
    return template
