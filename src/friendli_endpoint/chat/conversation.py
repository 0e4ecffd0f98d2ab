"""From a request to its response builder: validation, prompt, decoding rules.

Preparing a request and responding to it are two functions, because the first one may run in a
worker process: all that takes time and memory in proportion to hostile input is done there.
"""

import hashlib
import uuid
from array import array
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from friendli.models import (
    DedicatedChatCompletionBody,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatRegex,
)
from friendli_endpoint.chat.decoding.rules import RuleCompiler
from friendli_endpoint.chat.output.calls import CallReader
from friendli_endpoint.chat.output.reader import Reader
from friendli_endpoint.chat.output.response_builder import ResponseBuilder
from friendli_endpoint.chat.prepared import PreparedRequest
from friendli_endpoint.chat.prompt.abilities import TemplateAbilities
from friendli_endpoint.chat.prompt.answer_prefix import answer_prefix, continued_rule
from friendli_endpoint.chat.prompt.builder import Prompt, PromptBuilder
from friendli_endpoint.chat.prompt.history import messages_for
from friendli_endpoint.chat.prompt.recognition import family_of
from friendli_endpoint.chat.prompt.tagged_content import separate_reasoning
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.reasoning.styles import opening_of, style_of, tag_ids
from friendli_endpoint.chat.request.chat_request import ChatRequest
from friendli_endpoint.chat.request.rules import Limits, check_prompt_tokens
from friendli_endpoint.chat.request.validation import ModelFacts, adapter_route, validate
from friendli_endpoint.chat.structured import GrammarMaker
from friendli_endpoint.chat.structured.json_schema import JsonLayout
from friendli_endpoint.chat.tokens import tokenize_fragment
from friendli_endpoint.chat.tools import DEFAULT_FAMILY, MARKUP_FAMILIES, family_named
from friendli_endpoint.chat.tools.toolbox import Toolbox, ToolCompiler, control_markers
from friendli_endpoint.generation import (
    DecodingRules,
    GenerationRequest,
    Grammar,
    ReasoningRule,
    TextSegment,
)

__all__ = ["ChatDefaults", "ChatModel"]

_NEWLINES = ("\n", "\r\n", "\n\n")


@dataclass(frozen=True, slots=True)
class ChatDefaults:
    """The operator's settings for all requests.

    Attributes:
        endpoint_ids: The endpoint ids that this server answers to; if empty, it answers to any.
        tool_family: Name of the tool-call format; None detects it from the chat template.
        parse_reasoning: Default of a request's `parse_reasoning`.
        json_layout: Layout of the JSON of a `response_format`.
        limits: Limits on one request.
    """

    endpoint_ids: Collection[str] = ()
    tool_family: str | None = None
    parse_reasoning: bool = True
    json_layout: JsonLayout = "free"
    limits: Limits = field(default_factory=Limits)


class ChatModel:
    """Prepares chat requests for one model; independent of the engine that runs it.

    Args:
        rules: Compiles decoding rules for the model's vocabulary.
        template: The model's chat template, in Jinja.
        context: Maximum number of tokens of prompt and answer together.
        defaults: The operator's settings.
        compiled: Called with the duration of each compilation of a constraint, in seconds.

    Raises:
        ChatTemplateError: The template does not compile.
        KeyError: The settings name a tool-call format that does not exist.
    """

    def __init__(
        self,
        rules: RuleCompiler,
        template: str,
        context: int,
        defaults: ChatDefaults | None = None,
        compiled: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        defaults = defaults or ChatDefaults()
        self._rules = rules
        self._vocabulary = vocabulary = rules.vocabulary
        self._context = context
        tokens = {
            name: vocabulary.token_bytes(token).decode(errors="replace")
            if token is not None
            else ""
            for name, token in (("bos_token", vocabulary.bos_id), ("eos_token", vocabulary.eos_id))
        }
        self._style = style = style_of(template)
        tags = style.tags if style else ()
        opening = opening_of(style, template) if style else ""
        self._prompts = PromptBuilder(
            ChatTemplate(template, tokens), vocabulary, context, tags, opening
        )
        name = defaults.tool_family
        family = family_named(name) if name else family_of(template)
        self._abilities = TemplateAbilities(template, family or DEFAULT_FAMILY)
        self._grammars = GrammarMaker(self._rules.matchers, compiled, defaults.json_layout)
        self._tools = ToolCompiler(family, vocabulary, self._grammars)
        self._markup_family = MARKUP_FAMILIES.get(style.name) if style else None
        self._marker_ids = control_markers(family, vocabulary) if family else frozenset()
        self._tag_ids = tag_ids(style, vocabulary) if style else frozenset()
        newlines = (tokenize_fragment(vocabulary, text) for text in _NEWLINES)
        self._facts = ModelFacts(
            vocabulary,
            endpoint_ids=defaults.endpoint_ids,
            reasons=style is not None,
            takes_effort=self._abilities.effort,
            parse_reasoning=defaults.parse_reasoning,
            newline_ids=frozenset(ids[0] for ids in newlines if len(ids) == 1),
            limits=defaults.limits,
        )
        if style is not None:  # so that the first request does not wait for it
            self._rules.tag_masks(style.rule(), self._tag_ids)

    @property
    def tool_family(self) -> str | None:
        """Name of the format of tool calls; None if it is unknown."""
        return self._tools.family.name if self._tools.family is not None else None

    def prepare(
        self,
        body: DedicatedChatCompletionBody,
        report: Callable[[str], None] = lambda _field: None,
    ) -> PreparedRequest:
        """Validates and prepares a request; every invalid request fails here.

        Args:
            body: The body of the request.
            report: Called with the name of a field before it is processed, if that may take long.

        Raises:
            RequestError: A field is invalid, or the endpoint does not exist.
        """
        request = validate(body, self._facts)
        report("tools")
        toolbox = self._tools.toolbox(request)
        report("chat_template_kwargs" if request.template_kwargs else "messages")
        messages = messages_for(self._abilities, request.messages, toolbox)
        continuation = request.continuation
        if continuation is not None:
            messages, continuation = separate_reasoning(messages, continuation, self._style)
        prompt = self._prompts.build(
            messages,
            request.template_kwargs,
            toolbox.definitions if toolbox else self._abilities.no_tools,
            continuation,
        )
        check_prompt_tokens(len(prompt.ids), self._context, request.min_tokens)
        remaining = self._context - len(prompt.ids)
        report("tools" if toolbox is not None else "response_format")
        grammar = self._grammar(request, toolbox)
        if continuation is not None:
            report("messages")
        prefix = answer_prefix(continuation, grammar, toolbox, self._rules, prompt.lead)
        reasoning = continued_rule(self._reasoning(request, prompt, toolbox), continuation)
        generation = GenerationRequest(
            request_id=f"chatcmpl-{uuid.uuid4().hex}",
            prompt=(TextSegment(prompt.ids),),
            choices=request.sampling,
            rules=self._decoding_rules(request, toolbox, grammar, reasoning, prefix),
            max_tokens=min(request.max_tokens or remaining, remaining),
            top_logprobs=request.top_logprobs,
            adapter=request.adapter,
            stream=request.stream,
        )
        report("")
        return PreparedRequest(
            generation,
            model=request.model,
            include_usage=request.include_usage,
            parse_reasoning=request.parse_reasoning,
            include_reasoning=request.include_reasoning,
            tools=toolbox.specs if toolbox is not None else (),
            has_markup=self._has_markup(request, toolbox),
        )

    def respond(self, prepared: PreparedRequest) -> ResponseBuilder:
        """Returns the response builder of a prepared request; compiles its decoding rules."""
        request = prepared.request
        return ResponseBuilder(
            request,
            self._rules.compile(request.rules),
            model=prepared.model,
            include_usage=prepared.include_usage,
            reader=partial(
                Reader,
                self._vocabulary,
                parse=prepared.parse_reasoning,
                include=prepared.include_reasoning,
            ),
            call_reader=self._call_reader(prepared),
        )

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Tokenizes a text.

        Args:
            text: The text.
            special: Whether control tokens written out in it are recognised.

        Raises:
            RequestError: The text has more bytes than the context can hold.
        """
        self._prompts.check_size(text, "prompt")
        return self._vocabulary.tokenize(text, special)

    def adapter_of(self, name: str) -> str | None:
        """Returns the route in `ENDPOINT_ID:ADAPTER_ROUTE`; None if the name is an endpoint id.

        Raises:
            RequestError: 404: the endpoint does not exist.
        """
        return adapter_route(name, self._facts.endpoint_ids)

    def _decoding_rules(
        self,
        request: ChatRequest,
        toolbox: Toolbox | None,
        grammar: Grammar | None,
        reasoning: ReasoningRule | None,
        prefix: str,
    ) -> DecodingRules:
        displaced = self._vocabulary.end_ids - request.end_ids
        visible = displaced | self._tag_ids | (self._marker_ids if toolbox else frozenset())
        return DecodingRules(
            end_ids=tuple(sorted(request.end_ids)),
            visible_ids=tuple(sorted(visible)),
            stop=request.stop,
            min_tokens=request.min_tokens,
            grammar=grammar,
            reasoning=reasoning,
            answer_prefix=prefix,
        )

    def _has_markup(self, request: ChatRequest, toolbox: Toolbox | None) -> bool:
        """Whether an answer has markup that is not part of its text, and no call."""
        free = toolbox is None and request.response_format is None
        return free and request.parse_reasoning and self._markup_family is not None

    def _reasoning(
        self, request: ChatRequest, prompt: Prompt, toolbox: Toolbox | None
    ) -> ReasoningRule | None:
        style = self._style
        if style is None:
            return None
        budget = request.reasoning_budget
        interruptions = style.interruptions if self._has_markup(request, toolbox) else ()
        if toolbox is not None:
            interruptions = toolbox.family.markers[:1]
            if self._markup_family and toolbox.family.name == self._markup_family.name:
                style = style.before_headers
        return style.rule(
            prompt.tag,
            interruptions,
            trims=toolbox is not None or request.response_format is None,
            budget=None if budget is None else min(budget, self._context),
        )

    def _grammar(self, request: ChatRequest, toolbox: Toolbox | None) -> Grammar | None:
        if toolbox is not None:
            return self._tools.grammar(toolbox)
        match request.response_format:
            case None:
                return None
            case ResponseFormatRegex(schema_=pattern):
                return self._grammars.regex(pattern, "response_format.schema")
            case ResponseFormatJSONObject(schema_=dict() as schema) if schema:
                return self._grammars.json_schema(schema, "response_format.schema")
            case ResponseFormatJSONSchema(json_schema=response_schema):
                param = "response_format.json_schema.schema"
                return self._grammars.json_schema(response_schema.schema_, param)
        return self._grammars.json_schema({"type": "object"}, "response_format")

    def _call_reader(self, prepared: PreparedRequest) -> Callable[[int], CallReader] | None:
        """Returns a function from the seed of a choice to the reader of its tool calls and markup.

        Call ids derive from prompt and seed, so they are reproducible.
        """
        tools = prepared.tools
        family = self._tools.family if tools else self._markup_family
        if family is None or not (tools or prepared.has_markup):
            return None
        key = hashlib.blake2b(array("i", prepared.request.prompt_ids).tobytes()).digest()
        parse, include = prepared.parse_reasoning, prepared.include_reasoning
        prefix = prepared.request.rules.answer_prefix

        def reader(seed: int) -> CallReader:
            own = hashlib.blake2b(seed.to_bytes(8), key=key).digest()
            return CallReader(
                partial(family.parser, tools), own, prefix, parse=parse, include=include
            )

        return reader
