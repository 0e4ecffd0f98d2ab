"""Overlap of an answer that is generated again with the part that the client was told."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from friendli_endpoint.generation import EngineError, FinishReason, TokenStep

__all__ = ["Overlap"]


@dataclass(slots=True)
class _Choice:
    """State of one choice.

    Attributes:
        token_ids: The tokens that were generated, in all attempts together.
        finish: Its finish reason, once it has finished.
        num_repeated: Number of its tokens in the current attempt.
    """

    token_ids: list[int | None] = field(default_factory=list)
    finish: FinishReason | None = None
    num_repeated: int = 0

    def is_new(self, step: TokenStep) -> bool:
        """Counts a step of the current attempt, and returns whether it was not generated before.

        Raises:
            EngineError: It differs from the step that was generated before.
        """
        index, num_known = self.num_repeated, len(self.token_ids)
        finish = step.findings.finish
        if index < num_known:
            expected = self.finish if index == num_known - 1 else None
            if (step.token_id, finish) != (self.token_ids[index], expected):
                raise _difference_error()
        elif self.finish is not None:
            raise _difference_error()
        else:
            self.token_ids.append(step.token_id)
            self.finish = finish
        self.num_repeated += 1
        return index >= num_known


class Overlap:
    """Compares the steps of each attempt with those that were told, and passes on the new ones.

    Args:
        num_choices: Number of choices of the request.
        is_held: Whether nothing is told before the answer is complete, so that an attempt need not
            repeat the one before.
    """

    def __init__(self, num_choices: int, is_held: bool) -> None:
        self._choices = [_Choice() for _ in range(num_choices)]
        self._is_held = is_held
        self._held: list[TokenStep] = []

    @property
    def is_complete(self) -> bool:
        """Whether all choices have finished."""
        return all(choice.finish is not None for choice in self._choices)

    def begin(self) -> None:
        """Begins an attempt, which generates the answer from its first token."""
        if self._is_held:
            self._choices = [_Choice() for _ in self._choices]
            self._held = []
        for choice in self._choices:
            choice.num_repeated = 0

    def add(self, steps: Iterable[TokenStep]) -> tuple[TokenStep, ...]:
        """Returns the steps to tell, of steps that the engine has generated in this attempt.

        Raises:
            EngineError: A step differs from the one that was told, or belongs to no choice that
                runs.
        """
        new = [step for step in steps if self._choice_of(step).is_new(step)]
        if not self._is_held:
            return tuple(new)
        self._held += new
        return tuple(self._held) if self.is_complete else ()

    def _choice_of(self, step: TokenStep) -> _Choice:
        if not 0 <= step.choice < len(self._choices):
            raise EngineError("the engine answered with a choice that was not asked for")
        return self._choices[step.choice]


def _difference_error() -> EngineError:
    return EngineError(
        "the engine was lost, and another one came to another answer than the one that was sent "
        "in part",
        retryable=False,
    )
