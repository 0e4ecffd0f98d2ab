"""Tells which schemas of the corpus the endpoint takes, and tests those with instances.

`python -m benchmarks.endpoint.schemas.coverage` takes every schema as the endpoint does. Where it
is taken, instances from its examples, random ones and changed copies of these are checked against
the grammar and by the jsonschema package; and random outputs of the grammar by the latter.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.endpoint.schemas.__main__ import embedded_vocabulary, packages
from benchmarks.endpoint.schemas.gather import Entry, default_folder, gather, load
from benchmarks.endpoint.schemas.instances import changed, instances
from benchmarks.endpoint.schemas.judge import judge_of
from benchmarks.endpoint.schemas.ranking import ranking, summary
from friendli_endpoint.chat.structured import Constraint, GrammarMaker, MatcherCompiler
from friendli_endpoint.generation import RequestError, Vocabulary

__all__ = ["Checker", "Result", "main"]

_MAX_INSTANCES = 12
_MAX_CHARACTERS = 4_000
_MAX_WALK_TOKENS = 300


@dataclass(slots=True)
class Result:
    """The verdict on one schema, and on its instances.

    Attributes:
        source: Package of the schema.
        name: Its name in the package.
        milliseconds: CPU time until the schema is taken or refused.
        param: Path of the keyword that is refused; None if the schema is taken.
        message: The error, or an empty string.
        num_valid: Number of valid instances that were tried.
        num_invalid: Number of invalid instances that were tried.
        num_outputs: Number of random outputs of the grammar.
        refused: Valid instances that the grammar does not allow.
        accepted: Invalid instances that it allows, and invalid outputs.
    """

    source: str
    name: str
    milliseconds: float = 0.0
    param: str | None = None
    message: str = ""
    num_valid: int = 0
    num_invalid: int = 0
    num_outputs: int = 0
    refused: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)


class Checker:
    """Takes schemas as the endpoint does, and tests the grammars.

    Args:
        vocabulary: The model's tokens.
        num_instances: Number of random instances and of random outputs per schema.
    """

    def __init__(self, vocabulary: Vocabulary, num_instances: int) -> None:
        self._vocabulary = vocabulary
        self._matchers = MatcherCompiler(vocabulary)
        self._grammars = GrammarMaker(self._matchers)
        self._num_instances = num_instances
        lengths = np.array(
            [
                len(text) if text.isascii() and text.decode().isprintable() else 0
                for text in map(vocabulary.token_bytes, range(vocabulary.size))
            ]
        )
        self._readable = (lengths > 0) & (lengths <= 3)
        self._closing = np.isin(
            np.arange(vocabulary.size),
            [token for sign in '"]}0' for token in vocabulary.tokenize(sign, False)],
        )

    def check(self, entry: Entry) -> Result:
        """Takes one schema and tests its grammar."""
        result = Result(entry.source, entry.name)
        begun = time.process_time()
        try:
            grammar = self._grammars.json_schema(entry.schema, "schema")
        except RequestError as error:
            result.param, result.message = error.param or "schema", error.message
        result.milliseconds = (time.process_time() - begun) * 1000
        if result.param is None and self._num_instances:
            compiled = self._matchers.compile(grammar)
            constraint = self._matchers.constraint(compiled, self._vocabulary.end_ids)
            self._test(entry, constraint, result)
        return result

    def _test(self, entry: Entry, constraint: Constraint, result: Result) -> None:
        is_valid = judge_of(entry.schema)
        rng = Random(0)
        found = instances(entry.schema, 0, self._num_instances)
        values = list(islice(found, _MAX_INSTANCES))
        values += [changed(value, rng) for value in values for _ in range(2)]
        for text in dict.fromkeys(json.dumps(value, ensure_ascii=False) for value in values):
            verdict = is_valid(text) if len(text) <= _MAX_CHARACTERS else None
            if verdict is None:
                continue
            is_allowed = self._allows(constraint.copy(), text)
            result.num_valid += verdict
            result.num_invalid += not verdict
            if verdict and not is_allowed:
                result.refused.append(text)
            if is_allowed and not verdict:
                result.accepted.append(text)
        for _ in range(self._num_instances):
            output = self._walk(constraint.copy(), rng)
            if output is not None and (verdict := is_valid(output)) is not None:
                result.num_outputs += 1
                if not verdict:
                    result.accepted.append(output)

    def _allows(self, constraint: Constraint, text: str) -> bool:
        tokens = self._vocabulary.tokenize(text, False)
        if not constraint.allows(tokens):
            return False
        for token in tokens:
            constraint.accept(token)
        return constraint.satisfied

    def _walk(self, constraint: Constraint, rng: Random) -> str | None:
        """Returns a random output, preferably of few and readable characters, or None if cut."""
        out = b""
        end_rate = rng.choice((0.2, 1.0))
        for step in range(_MAX_WALK_TOKENS):
            if constraint.satisfied and rng.random() < end_rate:
                return out.decode(errors="replace")
            forced = constraint.fast_forward_tokens()
            bits = np.unpackbits(constraint.mask().view(np.uint8), bitorder="little")
            allowed = bits[: self._vocabulary.size].view(np.bool_)
            allowed[list(self._vocabulary.end_ids)] = False
            for preferred in (self._readable, self._closing if step > 40 else self._readable):
                narrowed = allowed & preferred
                allowed = narrowed if narrowed.any() else allowed
            choices = np.flatnonzero(allowed)
            if not choices.size:
                return out.decode(errors="replace") if constraint.satisfied else None
            token = forced[0] if forced else int(choices[rng.randrange(choices.size)])
            out += self._vocabulary.token_bytes(token)
            if constraint.accept(token):
                return out.decode(errors="replace")
        return None


@cache
def _checker(num_instances: int) -> Checker:
    return Checker(embedded_vocabulary(), num_instances)


def _checked(entry: Entry, num_instances: int) -> Result:
    return _checker(num_instances).check(entry)


def main(arguments: Sequence[str]) -> int:
    """Prints a summary and the ranking of refusals; returns 1 if an invalid value is allowed."""
    options = _options(arguments)
    corpus = options.into / "corpus.jsonl"
    entries = load(corpus if corpus.exists() else gather(options.into))
    results = [*_results(entries, options.instances, options.processes)]
    if options.details:
        lines = [json.dumps(asdict(result), ensure_ascii=False) for result in results]
        options.details.write_text("\n".join(lines) + "\n")
    lines = [*summary(results), "", *ranking(results), "", packages(entries)]
    print("\n".join(lines))
    return int(any(result.accepted for result in results))


def _results(entries: list[Entry], num_instances: int, processes: int) -> Iterable[Result]:
    counts = [num_instances] * len(entries)
    if processes <= 1:
        yield from map(_checked, entries, counts)
        return
    with ProcessPoolExecutor(processes) as pool:
        for index, result in enumerate(pool.map(_checked, entries, counts, chunksize=16)):
            if index % 500 == 0:
                print(f"{index:,} of {len(entries):,}", file=sys.stderr, flush=True)
            yield result


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endpoint.schemas.coverage",
        description="Tells which schemas of the corpus the endpoint takes, and tests those.",
    )
    parser.add_argument(
        "--into", type=Path, default=default_folder(), help="folder for the packages and the corpus"
    )
    parser.add_argument(
        "--instances", type=int, default=6, help="random instances and outputs per schema; 0: none"
    )
    parser.add_argument("--processes", type=int, default=2, help="number of processes")
    parser.add_argument(
        "--details", type=Path, metavar="FILE", help="write one JSON object per schema"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
