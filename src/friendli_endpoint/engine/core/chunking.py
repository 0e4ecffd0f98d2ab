"""Policy for the prompt tokens of a step: how long running choices wait, and how long prompts.

The time of a step is about proportional to its tokens, whether they are of prompts or of running
choices: the embedded model takes 4.4 ms of processor time for each of 16 or more prompt tokens, and
5.5 ms for each of 16 choices. So the tokens of a step are limited together: the more choices run,
the smaller is the chunk that they wait for. While prompts are behind for long, chunks grow up to
twice the tokens of a step, because the running choices would take too much of the time that the
prompts need. Larger chunks gain nothing: a prompt of 4,000 tokens beside eight choices takes 46 s
of processor time in chunks of 32 tokens, 42 in chunks of 64, and 43 in chunks of 128.

The unit of time is a computed token, so the policy needs no clock, and a slower model gets the same
schedule.
"""

from dataclasses import dataclass

__all__ = ["PATIENCE_STEPS", "ChunkPolicy"]

PATIENCE_STEPS = 24
"""Full steps for which prompts may be behind before chunks grow; and per which they grow by their
first size. With the embedded model on two cores, this is more than two seconds."""


@dataclass(frozen=True, slots=True)
class ChunkPolicy:
    """Limits the prompt tokens of a step.

    Attributes:
        step_tokens: Maximum number of tokens of a step while prompts are not behind: its chunks,
            and one token of every running choice. Half of them are for chunks in any case.
        max_tokens: Maximum number of prompt tokens of a step, at least `step_tokens`; the limit
            while nothing runs.
        min_tokens: Minimum limit, at most `step_tokens`.
    """

    step_tokens: int
    max_tokens: int
    min_tokens: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.min_tokens <= self.step_tokens <= self.max_tokens:
            raise ValueError(
                "`min_tokens` must be at least 1, `step_tokens` at least `min_tokens`, and "
                "`max_tokens` at least `step_tokens`"
            )

    def limit(self, num_running: int, behind: int) -> int:
        """Returns the maximum number of prompt tokens of the next step.

        Args:
            num_running: Number of running choices, at least 0.
            behind: Number of tokens that were computed since prompts have been behind without a
                pause: since there was one to prefill and a slot for it. At least 0.
        """
        if not num_running:
            return self.max_tokens
        first = max(self.min_tokens, self.step_tokens // 2, self.step_tokens - num_running)
        patience = PATIENCE_STEPS * self.step_tokens
        grown = first + first * max(0, behind - patience) // patience
        return min(grown, 2 * self.step_tokens, self.max_tokens)
