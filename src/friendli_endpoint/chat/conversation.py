"""The way of a request through this room: rules, parameters, prompt, guides, exchange."""

import uuid
from collections.abc import Collection

from friendli.models import DedicatedChatCompletionBody
from friendli_endpoint.chat.answer import Exchange
from friendli_endpoint.chat.constraint import Constraint, ConstraintCompiler
from friendli_endpoint.chat.guide import ChoiceGuide, Ending
from friendli_endpoint.chat.parameters import ending, sampling_params
from friendli_endpoint.chat.prompt import PromptBuilder
from friendli_endpoint.chat.rules import Limits, Values, check, given
from friendli_endpoint.chat.template import ChatTemplate
from friendli_endpoint.generation import Choice, GenerationRequest, Refusal, Vocabulary

__all__ = ["ChatModel"]

_NEWLINES = ("\n", "\r\n", "\n\n")


class ChatModel:
    """Takes chat requests for one model; knows what it can answer, not how it is computed.

    Args:
        vocabulary: The model's tokens.
        template: The model's chat template, in Jinja.
        endpoint_ids: The ids it answers to; with none, to any.
        limits: The operator's bounds.

    Raises:
        TemplateFault: The template does not compile.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        template: str,
        *,
        endpoint_ids: Collection[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._endpoint_ids = frozenset(endpoint_ids)
        self._limits = limits or Limits()
        tokens = {
            name: vocabulary.piece(token).decode(errors="replace") if token is not None else ""
            for name, token in (("bos_token", vocabulary.bos_id), ("eos_token", vocabulary.eos_id))
        }
        self._constraints = ConstraintCompiler(vocabulary)
        self._prompts = PromptBuilder(ChatTemplate(template, tokens), vocabulary)
        single = (vocabulary.tokenize(text, False) for text in _NEWLINES)
        self._newline_ids = frozenset(ids[0] for ids in single if len(ids) == 1)

    def accept(self, body: DedicatedChatCompletionBody) -> Exchange:
        """Checks a request and prepares its answer; all that can be refused is refused here.

        Raises:
            Refusal: The request breaks a rule, or names an endpoint or adapter there is not.
        """
        values = body.model_dump()
        values = {name: value for name, value in values.items() if value is not None}
        check(values, body.model_extra or (), self._limits)
        self._check_model(body.model)
        asked = given(values)
        ends = ending(asked, self._vocabulary)
        sampling = sampling_params(asked, self._vocabulary, ends.end_ids | self._newline_ids)
        prompt = self._prompts.build(asked["messages"], asked.get("chat_template_kwargs", {}))
        room = self._vocabulary.context - len(prompt)
        max_tokens = asked.get("max_tokens", asked.get("max_completion_tokens", room))
        if ends.min_tokens > room:
            raise Refusal(
                f"min_tokens must be at most {room}, the room that the prompt leaves",
                param="min_tokens",
                code="out_of_range",
            )
        request = GenerationRequest(
            request_id=f"chatcmpl-{uuid.uuid4().hex}",
            prompt=prompt,
            choices=tuple(
                Choice(params, ChoiceGuide(ends, self._vocabulary, self._constraint(asked, ends)))
                for params in sampling
            ),
            max_tokens=max_tokens,
            top_logprobs=asked.get("top_logprobs", 0) if asked.get("logprobs") else None,
        )
        options = asked.get("stream_options") or {}
        return Exchange(
            request,
            model=body.model,
            stream=bool(asked.get("stream")),
            include_usage=bool(options.get("include_usage")),
            ending=ends,
            vocabulary=self._vocabulary,
        )

    def _constraint(self, asked: Values, ends: Ending) -> Constraint | None:
        """A matcher of its own for a choice, where the request has a response_format."""
        match asked.get("response_format"):
            case None:
                return None
            case {"type": "regex", "schema": pattern}:
                return self._constraints.regex(pattern, ends.end_ids, "response_format.schema")
            case {"json_schema": {"schema": schema}}:
                param = "response_format.json_schema.schema"
                return self._constraints.json_schema(schema, ends.end_ids, param)
        return self._constraints.json_schema({"type": "object"}, ends.end_ids, "response_format")

    def _check_model(self, name: str) -> None:
        """Splits `ENDPOINT_ID:ADAPTER_ROUTE`; an exact endpoint id wins."""
        if name in self._endpoint_ids:
            return
        endpoint, colon, route = name.partition(":")
        if self._endpoint_ids and endpoint not in self._endpoint_ids:
            raise Refusal(
                f"there is no endpoint {endpoint!r} here",
                param="model",
                status=404,
                code="model_not_found",
            )
        if colon:
            raise Refusal(
                f"there is no adapter {route!r}: this endpoint has no adapters",
                param="model",
                status=404,
                code="adapter_not_found",
            )
