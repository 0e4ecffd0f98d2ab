"""Reasoning tags of the model families."""

from dataclasses import dataclass, replace
from typing import Literal

from friendli_endpoint.generation import ReasoningRule, Vocabulary

__all__ = ["STYLES", "ReasoningStyle", "style_of", "tag_ids"]


@dataclass(frozen=True, slots=True)
class ReasoningStyle:
    """The reasoning tags of a family of models.

    Attributes:
        name: Name of the style.
        open: Tag that opens the reasoning.
        close: Tag that closes the reasoning.
        preludes: Texts that may precede an answer without reasoning and are not part of it.
        end: Shorter closing tag where a parser reads the headers of the answer; empty if the same.
        interruptions: Texts that end the reasoning where a parser reads the headers of the answer,
            which they are part of.
    """

    name: str
    open: str
    close: str
    preludes: tuple[str, ...] = ()
    end: str = ""
    interruptions: tuple[str, ...] = ()

    @property
    def before_headers(self) -> "ReasoningStyle":
        """The style with the shorter closing tag."""
        return replace(self, close=self.end or self.close)

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
            trims: Whether white space between a tag and the answer is dropped.
            budget: Maximum number of tokens of reasoning, or None.
        """
        end = prompt.rstrip()
        start: Literal["start", "reasoning", "answer"] = "start"
        if end.endswith(self.open):
            start = "reasoning"
        elif end.endswith(self.close):
            start = "answer"
        return ReasoningRule(
            self.open, self.close, self.preludes, interruptions, trims, start, budget
        )


STYLES = (
    ReasoningStyle("think", "<think>", "</think>"),
    ReasoningStyle("magistral", "[THINK]", "[/THINK]"),
    ReasoningStyle("kimi", "◁think▷", "◁/think▷"),
    ReasoningStyle("granite", "Here is my thought process:", "Here is my response:"),
    ReasoningStyle(
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        preludes=("<|channel|>final<|message|>",),
        end="<|end|>",
        interruptions=("<|end|><|start|>assistant<|channel|>commentary",),
    ),
    ReasoningStyle("command", "<|START_THINKING|>", "<|END_THINKING|>"),
)
_BY_TEMPLATE = (
    ("<|channel|>", "harmony"),
    ("<|START_THINKING|>", "command"),
    ("[THINK]", "magistral"),
    ("◁think▷", "kimi"),
    ("Here is my thought process", "granite"),
    ("<think>", "think"),
    ("</think>", "think"),
)


def style_of(template: str) -> ReasoningStyle | None:
    """Returns the style whose tags a chat template contains; None if it contains none."""
    by_name = {style.name: style for style in STYLES}
    return next((by_name[name] for marker, name in _BY_TEMPLATE if marker in template), None)


def tag_ids(style: ReasoningStyle, vocabulary: Vocabulary) -> frozenset[int]:
    """Returns the control tokens that tags consist of; they must be read as text."""
    tags = " ".join((style.open, style.close, *style.preludes)).encode()
    return frozenset(t for t in vocabulary.control_ids if vocabulary.token_bytes(t) in tags)
