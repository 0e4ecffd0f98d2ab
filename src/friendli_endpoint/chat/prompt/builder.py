"""From a conversation to prompt tokens; user text never becomes a control token.

Rendering joins the template's text and the user's text in one string. Tokenizing them separately
would give other tokens at the boundaries than the model was trained on. So before rendering, every
control token in user text, complete or begun at its end, is broken by a mark: a character that
occurs in no user text. The rendered string is then split at the template's own control tokens, and
the spans between them are tokenized as plain text, without the marks. The markers of calls that are
written out count as the template's own text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from friendli_endpoint.chat.prompt.control_text import ControlText
from friendli_endpoint.chat.prompt.template import ChatTemplate
from friendli_endpoint.chat.prompt.unfinished import UnfinishedPrompt
from friendli_endpoint.chat.prompt.user_input import UserInput, escaped, own_tag, unused_characters
from friendli_endpoint.chat.request.continuation import Continuation
from friendli_endpoint.chat.request.rules import check_prompt_bytes
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Prompt", "PromptBuilder"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered and tokenized conversation.

    Attributes:
        ids: Token ids, at least one.
        text: The rendered text.
        tag: The tag that the template wrote at the end, or before the text that the answer
            continues, ignoring white space; empty if none.
        lead: Beginning of the answer that the template wrote before the text that it continues,
            such as a recipient; empty without tools, because only their formats have one.
    """

    ids: tuple[int, ...]
    text: str
    tag: str
    lead: str = ""


class PromptBuilder:
    """Renders and tokenizes conversations for one model.

    Args:
        template: The model's chat template.
        vocabulary: The model's tokens.
        context: Maximum number of tokens of prompt and answer together.
        tags: The opening and the closing tag of reasoning, and the preludes of an answer; or
            nothing. The one at the end of the prompt decides how the output starts.
        opening: The opening tag as it begins reasoning, possibly with a line break.
    """

    def __init__(
        self,
        template: ChatTemplate,
        vocabulary: Vocabulary,
        context: int,
        tags: Sequence[str] = (),
        opening: str = "",
    ) -> None:
        self._template = template
        self._vocabulary = vocabulary
        self._tags = tags
        self._opening = opening
        self._control = ControlText(vocabulary)
        max_token_bytes = max(
            len(vocabulary.token_bytes(token)) for token in range(vocabulary.size)
        )
        self._context = context
        self._max_bytes = context * max_token_bytes

    def build(
        self,
        messages: list[dict[str, Any]],
        template_kwargs: Mapping[str, Any],
        tools: Sequence[Mapping[str, Any]] | None = None,
        continuation: Continuation | None = None,
    ) -> Prompt:
        """Renders and tokenizes a conversation up to the start of the answer.

        Args:
            messages: Messages as the template expects them.
            template_kwargs: The request's `chat_template_kwargs`.
            tools: Definitions of the offered tools, for the template.
            continuation: The text of the last message that the answer continues, or None.

        Raises:
            RequestError: The template rejects the conversation or does not write the text to
                continue, or the prompt has more bytes than the context can hold.
        """
        user_input = UserInput(messages, template_kwargs, tools)
        mark, *more = unused_characters(user_input, 1 if continuation is None else 3)

        def broken(part: str) -> str:
            return self._control.broken(part, mark)

        lead = ""
        if continuation is None:
            render = partial(user_input.render, self._template)
            text = render(broken)
            tag = own_tag(text, self._tags, user_input, mark, render)
        else:
            unfinished = UnfinishedPrompt(
                self._template, user_input, continuation, self._tags, self._opening, [mark, *more]
            )
            head, tag = unfinished.render(broken)
            if tools and continuation.field == "content":
                lead = unfinished.lead(head, broken).replace(mark, "")
            text = head + broken(continuation.text)
        text = text.replace(escaped(mark), mark)
        self.check_size(text.replace(mark, ""), "messages")
        ids = self._control.tokens(text, mark)
        bos = self._vocabulary.bos_id
        if bos is not None and self._vocabulary.adds_bos and ids[:1] != [bos]:
            ids.insert(0, bos)
        if not ids:
            raise RequestError(
                "the model's chat template renders these messages to an empty prompt",
                param="messages",
            )
        return Prompt(tuple(ids), text.replace(mark, ""), tag, lead)

    def check_size(self, text: str, param: str) -> None:
        """Rejects a text that cannot fit into a prompt; see `check_prompt_bytes`."""
        check_prompt_bytes(text, self._max_bytes, self._context, param)
