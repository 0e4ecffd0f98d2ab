"""The way of a request through this room: rules, parameters, prompt, guides, exchange."""

import hashlib
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.decoding.guide import ChoiceGuide, Ending
from friendli_endpoint.chat.decoding.thinking import Thinking
from friendli_endpoint.chat.output.answer import Exchange
from friendli_endpoint.chat.output.calls import CallReader
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.builder import Prompt, PromptBuilder
from friendli_endpoint.chat.prompt.history import messages_for
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.reasoning.borders import Borders, spoken_tags
from friendli_endpoint.chat.reasoning.splitter import ReasoningStyle, style_of
from friendli_endpoint.chat.request.parameters import ending, sampling_params
from friendli_endpoint.chat.request.rules import Limits, Values, check, given
from friendli_endpoint.chat.structured import Constraint, ConstraintCompiler
from friendli_endpoint.chat.structured.json_schema import JsonLayout
from friendli_endpoint.chat.tokens import PieceIndex, spelling
from friendli_endpoint.chat.tools import family_named, family_of
from friendli_endpoint.chat.tools.toolbox import Toolbox, control_markers, marker_of, toolbox_of
from friendli_endpoint.generation import Choice, GenerationRequest, Refusal, Vocabulary

__all__ = ["ChatDefaults", "ChatModel"]

_NEWLINES = ("\n", "\r\n", "\n\n")


@dataclass(frozen=True, slots=True)
class ChatDefaults:
    """What the operator decides for requests that do not say.

    Attributes:
        endpoint_ids: The ids that are answered; with none, any is.
        tool_family: The form of tool calls, by name; None takes it from the chat template.
        parse_reasoning: Whether reasoning is given apart from the answer.
        json_layout: How the JSON of a `response_format` is written.
        limits: Bounds on what a request may ask for.
    """

    endpoint_ids: Collection[str] = ()
    tool_family: str | None = None
    parse_reasoning: bool = True
    json_layout: JsonLayout = "free"
    limits: Limits = field(default_factory=Limits)


class ChatModel:
    """Takes chat requests for one model; knows what it can answer, not how it is computed.

    Args:
        vocabulary: The model's tokens.
        template: The model's chat template, in Jinja.
        defaults: The operator's.
        compiled: Told how many seconds the compilation of a constraint took.

    Raises:
        TemplateFault: The template does not compile.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        template: str,
        defaults: ChatDefaults | None = None,
        compiled: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._vocabulary = vocabulary
        self._defaults = defaults or ChatDefaults()
        tokens = {
            name: vocabulary.piece(token).decode(errors="replace") if token is not None else ""
            for name, token in (("bos_token", vocabulary.bos_id), ("eos_token", vocabulary.eos_id))
        }
        self._style = style_of(template)
        tags = (self._style.open, self._style.close) if self._style else ()
        self._prompts = PromptBuilder(ChatTemplate(template, tokens), vocabulary, tags)
        self._abilities = TemplateAbilities(template)
        self._constraints = ConstraintCompiler(vocabulary, compiled, self._defaults.json_layout)
        self._family = (
            family_named(self._defaults.tool_family)
            if self._defaults.tool_family
            else family_of(template)
        )
        self._markers = control_markers(self._family, vocabulary)
        self._marker = marker_of(self._family, vocabulary)
        self._spoken = spoken_tags(self._style, vocabulary) if self._style else frozenset()
        single = (spelling(vocabulary, text) for text in _NEWLINES)
        self._newline_ids = frozenset(ids[0] for ids in single if len(ids) == 1)
        self._borders = self._borders_of(self._style) if self._style else {}

    def accept(self, body: DedicatedChatCompletionBody) -> Exchange:
        """Checks a request and prepares its answer; all that can be refused is refused here.

        Raises:
            Refusal: The request breaks a rule, or names an endpoint there is not.
        """
        values = {name: value for name, value in body.model_dump().items() if value is not None}
        check(values, body.model_extra or (), self._defaults.limits)
        adapter = self.adapter_of(body.model)
        asked = given(values)
        self._check_reasoning(asked)
        toolbox = toolbox_of(asked, self._family)
        spoken = self._spoken | (self._markers if toolbox else frozenset())
        ends = ending(asked, self._vocabulary, spoken)
        sampling = sampling_params(asked, self._vocabulary, ends.end_ids | self._newline_ids)
        prompt = self._prompt(asked, toolbox)
        room = self._vocabulary.context - len(prompt.ids)
        if ends.min_tokens > room:
            raise Refusal(
                f"min_tokens must be at most {room}, the room that the prompt leaves",
                param="min_tokens",
                code="out_of_range",
            )
        constraint = self._constraint(asked, ends, toolbox)
        request = GenerationRequest(
            request_id=f"chatcmpl-{uuid.uuid4().hex}",
            prompt=prompt.ids,
            choices=tuple(
                Choice(params, self._guide(asked, ends, prompt, toolbox, constraint))
                for params in sampling
            ),
            max_tokens=asked.get("max_tokens", asked.get("max_completion_tokens", room)),
            top_logprobs=asked.get("top_logprobs", 0) if asked.get("logprobs") else None,
            adapter=adapter,
        )
        options = asked.get("stream_options") or {}
        return Exchange(
            request,
            model=body.model,
            stream=bool(asked.get("stream")),
            include_usage=bool(options.get("include_usage")),
            readers=[self._reader(asked, ends, prompt, toolbox) for _ in sampling],
            calls=[self._call_reader(toolbox, prompt, each.seed) for each in sampling]
            if toolbox
            else (),
        )

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids of a text of any prompt.

        Args:
            text: The text.
            special: Whether control tokens written out in it are recognised.

        Raises:
            Refusal: No prompt could hold it.
        """
        self._prompts.check_size(text, "prompt")
        return self._vocabulary.tokenize(text, special)

    def adapter_of(self, name: str) -> str | None:
        """The route in `ENDPOINT_ID:ADAPTER_ROUTE`; an exact endpoint id wins.

        Raises:
            Refusal: 404: there is no such endpoint.
        """
        known = self._defaults.endpoint_ids
        if name in known:
            return None
        endpoint, colon, route = name.partition(":")
        if known and endpoint not in known:
            raise Refusal(
                f"there is no endpoint {endpoint!r} here",
                param="model",
                status=404,
                code="model_not_found",
            )
        return route if colon else None

    def _check_reasoning(self, asked: Values) -> None:
        for name, served in (
            ("reasoning_budget", self._style is not None),
            ("reasoning_effort", self._abilities.effort),
        ):
            if name in asked and not served:
                raise Refusal(
                    f"{name} is not served: this model's chat template knows nothing of it",
                    param=name,
                    code="not_supported",
                )

    def _prompt(self, asked: Values, toolbox: Toolbox | None) -> Prompt:
        extra: dict[str, Any] = dict(asked.get("chat_template_kwargs", {}))
        if "reasoning_effort" in asked:
            extra["reasoning_effort"] = asked["reasoning_effort"]
        messages = messages_for(self._abilities, asked["messages"], toolbox)
        return self._prompts.build(messages, extra, toolbox.offered if toolbox else None)

    def _guide(
        self,
        asked: Values,
        ends: Ending,
        prompt: Prompt,
        toolbox: Toolbox | None,
        constraint: Constraint | None,
    ) -> ChoiceGuide:
        borders = self._borders_for(asked, toolbox)
        thinking = None
        if borders is not None:
            budget = asked.get("reasoning_budget")
            thinking = Thinking(borders.splitter(prompt.tag), borders, budget)
        own = constraint.copy() if constraint is not None else None
        return ChoiceGuide(ends, self._vocabulary, own, thinking)

    def _borders_of(self, style: ReasoningStyle) -> dict[str, Borders]:
        """The borders of the reasoning, by what the answer after it is."""
        silent = self._vocabulary.control_ids - self._spoken - self._markers
        pieces = PieceIndex(self._vocabulary, silent)
        return {
            "text": Borders(style, self._vocabulary, pieces, (), trims=True),
            "calls": Borders(style, self._vocabulary, pieces, self._family.markers[:1], trims=True),
            "format": Borders(style, self._vocabulary, pieces, (), trims=False),
        }

    def _borders_for(self, asked: Values, toolbox: Toolbox | None) -> Borders | None:
        answer = "calls" if toolbox else "format" if "response_format" in asked else "text"
        return self._borders.get(answer)

    def _constraint(
        self, asked: Values, ends: Ending, toolbox: Toolbox | None
    ) -> Constraint | None:
        """What every choice must keep to; each works on a copy of it."""
        if toolbox is not None:
            return toolbox.constraint(self._constraints, ends.end_ids, self._marker)
        match asked.get("response_format"):
            case None:
                return None
            case {"type": "regex", "schema": pattern}:
                return self._constraints.regex(pattern, ends.end_ids, "response_format.schema")
            case {"json_schema": {"schema": schema}}:
                param = "response_format.json_schema.schema"
                return self._constraints.json_schema(schema, ends.end_ids, param)
        return self._constraints.json_schema({"type": "object"}, ends.end_ids, "response_format")

    def _reader(
        self, asked: Values, ends: Ending, prompt: Prompt, toolbox: Toolbox | None
    ) -> Reader:
        borders = self._borders_for(asked, toolbox)
        return Reader(
            ends,
            self._vocabulary,
            borders.splitter(prompt.tag) if borders is not None else None,
            parse=asked.get("parse_reasoning", self._defaults.parse_reasoning),
            include=asked.get("include_reasoning", True),
        )

    def _call_reader(self, toolbox: Toolbox, prompt: Prompt, seed: int) -> CallReader:
        """Ids of calls come from prompt and seed, so that the same request has the same."""
        key = hashlib.blake2b(repr((seed, prompt.ids)).encode()).digest()
        return CallReader(toolbox.family.parser(toolbox.tools), key)
