"""Reasoning tags of the model families."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from friendli_endpoint.generation import ReasoningRule, Vocabulary

__all__ = ["STYLES", "ReasoningStyle", "opening_of", "style_of", "tag_ids"]


@dataclass(frozen=True, slots=True)
class ReasoningStyle:
    """The reasoning tags of a family of models.

    Attributes:
        name: Name of the style.
        open: Tag that opens the reasoning.
        close: Tag that closes the reasoning.
        preludes: Texts that may precede an answer without reasoning and are not part of it.
        other_opens: Other texts that open the reasoning.
        other_closes: Other texts that close the reasoning.
        answer_open: Tag that may open the answer after the reasoning; empty if there is none.
        answer_close: Tag that may close an answer; empty if there is none.
        other_answer_closes: Other tags that may close an answer.
        end: Shorter closing tag where a parser reads the headers of the answer; empty if the same.
        interruptions: Texts that end the reasoning where a parser reads the headers of the answer,
            which they are part of.
    """

    name: str
    open: str
    close: str
    preludes: tuple[str, ...] = ()
    other_opens: tuple[str, ...] = ()
    other_closes: tuple[str, ...] = ()
    answer_open: str = ""
    answer_close: str = ""
    other_answer_closes: tuple[str, ...] = ()
    end: str = ""
    interruptions: tuple[str, ...] = ()

    @property
    def before_headers(self) -> "ReasoningStyle":
        """The style with the shorter closing tag."""
        return replace(self, close=self.end or self.close)

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags, none of them empty; the opening and the closing tag of reasoning come first."""
        return tuple(
            filter(
                None,
                (
                    *(self.open, self.close, *self.other_opens, *self.other_closes),
                    *(*self.preludes, self.answer_open),
                    *(self.answer_close, *self.other_answer_closes),
                ),
            )
        )

    def rule(
        self,
        prompt: str = "",
        interruptions: tuple[str, ...] = (),
        *,
        trims: bool = True,
        budget: int | None = None,
    ) -> ReasoningRule:
        """Returns the rule for one request.

        Args:
            prompt: The end of the prompt, as written by the template.
            interruptions: Texts that end the reasoning and are part of the answer.
            trims: Whether white space around the tags, and the tag after an answer, are dropped.
            budget: Maximum number of tokens of reasoning, or None.
        """
        return ReasoningRule(
            self.open,
            self.close,
            self.preludes,
            interruptions,
            trims,
            self._start(prompt.rstrip()),
            budget,
            self.other_opens,
            self.other_closes,
            self.answer_open,
            self.answer_close,
            self.other_answer_closes,
        )

    def _start(self, prompt: str) -> Literal["start", "reasoning", "answer"]:
        if prompt.endswith((self.open, *self.other_opens)):
            return "reasoning"
        before = (self.close, *self.other_closes, *self.preludes)
        answers = prompt.endswith(before) or (
            self.answer_open and prompt.endswith(self.answer_open)
        )
        return "answer" if answers else "start"


STYLES = (
    ReasoningStyle("think", "<think>", "</think>"),
    ReasoningStyle("magistral", "[THINK]", "[/THINK]"),
    ReasoningStyle("kimi", "◁think▷", "◁/think▷"),
    ReasoningStyle(
        "kimi_k3",
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|>",
        preludes=("<|open|>response<|sep|>",),
        answer_open="<|open|>response<|sep|>",
        answer_close="<|close|>response<|sep|>",
        other_answer_closes=("<|close|>message<|sep|>",),
    ),
    ReasoningStyle(
        "granite",
        "Here is my thought process:",
        "Here is my response:",
        other_opens=("Here's my thought process:",),
        other_closes=("Here's my response:",),
    ),
    ReasoningStyle(
        "think_response",
        "<think>",
        "</think>",
        answer_open="<response>",
        answer_close="</response>",
    ),
    ReasoningStyle(
        "think_answer", "<think>", "</think>", answer_open="<answer>", answer_close="</answer>"
    ),
    ReasoningStyle(
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        preludes=("<|channel|>final<|message|>",),
        end="<|end|>",
        interruptions=("<|end|><|start|>assistant<|channel|>commentary",),
    ),
    ReasoningStyle("seed", "<seed:think>", "</seed:think>"),
    ReasoningStyle(
        "command",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        preludes=("<|START_RESPONSE|>",),
        answer_open="<|START_RESPONSE|>",
        answer_close="<|END_RESPONSE|>",
    ),
    ReasoningStyle(
        "command_text",
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        preludes=("<|START_TEXT|>",),
        answer_open="<|START_TEXT|>",
        answer_close="<|END_TEXT|>",
    ),
    ReasoningStyle("gemma", "<|channel>thought", "<channel|>"),
    ReasoningStyle("apertus", "<|inner_prefix|>", "<|inner_suffix|>"),
    ReasoningStyle("minimax_m3", "<mm:think>", "</mm:think>"),
    ReasoningStyle("hunyuan", "<think:opensource>", "</think:opensource>"),
    ReasoningStyle("exaone", "<thought>", "</thought>"),
    ReasoningStyle("reka", "<reasoning>", "</reasoning>"),
    ReasoningStyle(
        "apriel",
        "Here are my reasoning steps:",
        "[BEGIN FINAL RESPONSE]",
        answer_close="[END FINAL RESPONSE]",
    ),
    ReasoningStyle(
        "solar",
        "<|think|>",
        "<|end|><|begin|>assistant",
        preludes=("<|content|>",),
        answer_open="<|content|>",
    ),
    ReasoningStyle(
        "muse",
        "to=self<|message|>",
        "<|eom|><|start|>assistant to=user<|message|>",
        preludes=("to=user<|message|>", "<|message|>"),
        other_closes=("<|eom|><|start|>assistant<|message|>",),
    ),
    ReasoningStyle(
        "openthinker",
        "<|begin_of_thought|>",
        "<|end_of_thought|>",
        answer_open="<|begin_of_solution|>",
        answer_close="<|end_of_solution|>",
    ),
)
_BY_TEMPLATE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("<|channel|>",), "harmony"),
    (("<|channel>",), "gemma"),
    (("[THINK]",), "magistral"),
    (("◁think▷",), "kimi"),
    (("open_tag('think'",), "kimi_k3"),
    (("Here is my thought process",), "granite"),
    (("<seed:think>",), "seed"),
    (("<|START_THINKING|>", "<|START_TEXT|>"), "command_text"),
    (("<|START_THINKING|>",), "command"),
    (("<|inner_prefix|>",), "apertus"),
    (("<mm:think>",), "minimax_m3"),
    (("<think{}>", ":opensource"), "hunyuan"),
    (("[BEGIN FINAL RESPONSE]",), "apriel"),
    (("<|think|>", "<|content|>"), "solar"),
    (("to=self<|message|>",), "muse"),
    (("<|begin_of_thought|>",), "openthinker"),
    # MiniMax M2 writes results of tools between tags that other models write around the answer.
    (("<think>", "<minimax:tool_call>"), "think"),
    (("<think>", "<response>"), "think_response"),
    (("<think>", "<answer>"), "think_answer"),
    (("<think>",), "think"),
    (("</think>",), "think"),
    (("<thought>",), "exaone"),
    (("</reasoning>",), "reka"),
    # Models whose templates do not name the tags that they write.
    (("<beginning_of_sentence>ai",), "think"),
    (("You are MiMo",), "think"),
)
"""Texts of which a template of a style contains all; the first entry that fits is used."""


def style_of(template: str) -> ReasoningStyle | None:
    """Returns the style whose tags a chat template contains; None if it contains none."""
    by_name = {style.name: style for style in STYLES}
    return next(
        (by_name[name] for texts, name in _BY_TEMPLATE if all(text in template for text in texts)),
        None,
    )


def opening_of(style: ReasoningStyle, template: str) -> str:
    """Returns the opening tag with the line break after it, if a chat template writes one."""
    followed = re.search(re.escape(style.open) + r"(?:\n|\\n)", template)
    return f"{style.open}\n" if followed else style.open


def tag_ids(style: ReasoningStyle, vocabulary: Vocabulary) -> frozenset[int]:
    """Returns the control tokens that tags consist of; they must be read as text."""
    tags = " ".join(style.tags).encode()
    return frozenset(t for t in vocabulary.control_ids if vocabulary.token_bytes(t) in tags)
