"""The tags in which families of models write their reasoning."""

from dataclasses import dataclass
from typing import Literal

from friendli_endpoint.generation import ReasoningRule, Vocabulary

__all__ = ["STYLES", "ReasoningStyle", "style_of", "tag_ids"]


@dataclass(frozen=True, slots=True)
class ReasoningStyle:
    """The tags in which a family of models reasons.

    Attributes:
        name: What the family calls it.
        open: What begins the reasoning.
        close: What ends it.
        preludes: Texts that may stand before an answer without reasoning, and are not part of it.
    """

    name: str
    open: str
    close: str
    preludes: tuple[str, ...] = ()

    def rule(
        self,
        prompt: str = "",
        interruptions: tuple[str, ...] = (),
        *,
        trims: bool = True,
        budget: int | None = None,
    ) -> ReasoningRule:
        """The rule for one request.

        Args:
            prompt: The end of the prompt, as far as the template wrote it.
            interruptions: Texts that end the reasoning and belong to the answer.
            trims: Whether white space between a tag and the answer is left out of the answer.
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
    ),
)
_BY_TEMPLATE = (
    ("<|channel|>", "harmony"),
    ("[THINK]", "magistral"),
    ("◁think▷", "kimi"),
    ("Here is my thought process", "granite"),
    ("<think>", "think"),
    ("</think>", "think"),
)


def style_of(template: str) -> ReasoningStyle | None:
    """The style that a chat template speaks of, or None for a model without reasoning."""
    named = {style.name: style for style in STYLES}
    return next((named[name] for sign, name in _BY_TEMPLATE if sign in template), None)


def tag_ids(style: ReasoningStyle, vocabulary: Vocabulary) -> frozenset[int]:
    """The control tokens that tags are made of, which are therefore read as text."""
    tags = " ".join((style.open, style.close, *style.preludes)).encode()
    return frozenset(t for t in vocabulary.control_ids if vocabulary.token_bytes(t) in tags)
