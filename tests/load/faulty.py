"""Command line of an endpoint whose engine fails: `python -m tests.load.faulty serve`.

The environment variable FAULTS has the numbers of the decode calls that fail, counted from 1 and
separated by commas.
"""

import os
from itertools import count
from typing import Any

from friendli_endpoint.cli import main
from friendli_endpoint.engine.llama.context import DecodeError, LlamaContext

_FAULTS = {int(number) for number in os.environ["FAULTS"].split(",")}
_numbers = count(1)
_decode = LlamaContext.decode


def _fail(self: LlamaContext, *arguments: Any, **named: Any) -> Any:
    if next(_numbers) in _FAULTS:
        raise DecodeError("an injected fault")
    return _decode(self, *arguments, **named)


if __name__ == "__main__":
    LlamaContext.decode = _fail  # type: ignore[method-assign]
    main()
