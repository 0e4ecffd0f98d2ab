"""Times the rewriting of JSON schemas: `python -m benchmarks.endpoint.schemas`.

For each schema of the corpus, three times are measured in turn: our rewriting; llguidance's own
compilation of the original schema; and all that a request waits for, which is the rewriting, the
compilation of the rewritten schema, and the probe of an output.
"""

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from benchmarks.endpoint.schemas.gather import Entry, default_folder, gather, load
from benchmarks.endpoint.schemas.verdicts import (
    differences,
    load_verdicts,
    save_verdicts,
    verdicts_of,
)
from friendli_endpoint.chat.structured import GrammarMaker, MatcherCompiler
from friendli_endpoint.chat.structured.json_schema import LAYOUTS, rewrite_schema
from friendli_endpoint.chat.structured.native import ConstraintError, catch_panics, tokenizer_of
from friendli_endpoint.deep_stack import on_deep_stack
from friendli_endpoint.engine.llama.library import find_library
from friendli_endpoint.engine.llama.library import load as load_library
from friendli_endpoint.engine.llama.model import VocabularyFile, find_embedded_model
from friendli_endpoint.engine.llama.vocabulary import LlamaVocabulary
from friendli_endpoint.generation import RequestError, Vocabulary

STACK_BYTES = 64 << 20
LIMITS = LLParserLimits(verbose_errors=False, max_items_in_row=10_000, max_grammar_size=200_000)
"""Stack size and limits are the same as in the endpoint's compiler."""


@dataclass(frozen=True, slots=True)
class Timing:
    """CPU times for one schema in ms, each the minimum of several runs.

    Attributes:
        rewriting: Our rewriting.
        compiling: llguidance's compilation of the original schema.
        checking: Rewriting, compilation and probe, as for a request.
        is_accepted: Whether all three accept the schema.
    """

    rewriting: float
    compiling: float
    checking: float
    is_accepted: bool


def main(arguments: list[str]) -> int:
    """Prints a table, or writes or compares verdicts; returns 1 if verdicts differ."""
    options = _options(arguments)
    corpus = options.into / "corpus.jsonl"
    entries = load(corpus if corpus.exists() else gather(options.into))
    vocabulary = embedded_vocabulary()
    grammars = GrammarMaker(MatcherCompiler(vocabulary))
    if options.verdicts:
        save_verdicts(verdicts_of(entries, grammars), options.verdicts)
    elif options.compare:
        after = verdicts_of(entries, grammars)
        found = differences(load_verdicts(options.compare), after)
        print("\n".join([*found, f"{len(found)} of {len(entries):,} verdicts differ"]))
        return int(bool(found))
    else:
        schemas = [entry.schema for entry in entries]
        gc.collect()
        gc.freeze()  # Unlike a server, this process holds thousands of schemas.
        timings = on_deep_stack(lambda: measure(schemas, vocabulary, options.rounds), STACK_BYTES)
        print("\n".join([*table(timings), "", packages(entries)]))
    return 0


def embedded_vocabulary() -> Vocabulary:
    """Loads the vocabulary of the embedded model, without its weights."""
    return LlamaVocabulary(VocabularyFile(load_library(find_library()), find_embedded_model()))


def measure(schemas: Sequence[dict[str, Any]], vocabulary: Vocabulary, rounds: int) -> list[Timing]:
    """Times each schema, the fastest of `rounds` runs over all of them."""
    tokenizer = tokenizer_of(vocabulary)
    timings: list[list[Timing]] = [[] for _ in schemas]
    for _ in range(rounds):
        # A new cache, because the previous round's contains the schemas.
        grammars = GrammarMaker(MatcherCompiler(vocabulary))
        for schema, runs in zip(schemas, timings, strict=True):
            runs.append(timing(schema, grammars, tokenizer))
    return [_fastest(runs) for runs in timings]


def timing(schema: dict[str, Any], grammars: GrammarMaker, tokenizer: LLTokenizer) -> Timing:
    """Times one schema once."""
    text = json.dumps({**schema, "x-guidance": LAYOUTS["free"]})
    rewriting, is_rewritten = _timed(lambda: _is_served(lambda: rewrite_schema(schema, "schema")))
    compiling, is_compiled = _timed(lambda: _is_compiled(text, tokenizer))
    checking, is_checked = _timed(
        lambda: _is_served(lambda: grammars.json_schema(schema, "schema"))
    )
    is_accepted = is_rewritten and is_compiled and is_checked
    return Timing(rewriting, compiling, checking, is_accepted)


def _fastest(runs: Sequence[Timing]) -> Timing:
    return Timing(
        min(run.rewriting for run in runs),
        min(run.compiling for run in runs),
        min(run.checking for run in runs),
        all(run.is_accepted for run in runs),
    )


def _timed(call: Callable[[], bool]) -> tuple[float, bool]:
    """Returns the CPU time of a call in ms, and its result."""
    begun = time.process_time()
    result = call()
    return (time.process_time() - begun) * 1000, result


def _is_served(call: Callable[[], object]) -> bool:
    try:
        call()
    except RequestError:
        return False
    return True


def _is_compiled(text: str, tokenizer: LLTokenizer) -> bool:
    """Whether llguidance compiles a schema; a panic counts as False."""
    try:
        with catch_panics():
            grammar = LLMatcher.grammar_from_json_schema(text)
            return not LLMatcher(tokenizer, grammar, log_level=0, limits=LIMITS).is_error()
    except (ConstraintError, ValueError):
        return False


def table(timings: Sequence[Timing]) -> list[str]:
    """Returns the lines of a table for all schemas, and for those that both accept."""
    lines = [
        "| schemas | CPU time | median | 90th percentile | 99th percentile |",
        "|---" * 5 + "|",
    ]
    accepted = [timing for timing in timings if timing.is_accepted]
    for name, rows in (
        (f"{len(timings):,}, all", timings),
        (f"{len(accepted):,}, accepted by both", accepted),
    ):
        if len(rows) < 2:
            continue
        rewriting = _percentiles([row.rewriting for row in rows])
        compiling = _percentiles([row.compiling for row in rows])
        checking = _percentiles([row.checking for row in rows])
        ratios = [ours / theirs for ours, theirs in zip(rewriting, compiling, strict=True)]
        by_schema = _percentiles([row.rewriting / row.compiling for row in rows])
        cells = [
            ("rewriting, ms", rewriting),
            ("llguidance's compilation, ms", compiling),
            ("rewriting / llguidance's", ratios),
            ("ratio per schema", by_schema),
            ("rewriting, compilation and probe, ms", checking),
        ]
        lines += [
            f"| {name} | {label} | {' | '.join(f'{value:.2f}' for value in values)} |"
            for label, values in cells
        ]
    return lines


def packages(entries: Sequence[Entry]) -> str:
    """Returns a sentence that lists the source packages and their numbers of schemas."""
    counts = Counter(entry.source for entry in entries)
    named = [f"{label} ({count})" for label, count in counts.items()]
    return f"The packages, and how many schemas are from each: {', '.join(named)}."


def _percentiles(values: Sequence[float]) -> list[float]:
    """Returns the median, the 90th and the 99th percentile."""
    cuts = quantiles(values, n=100, method="inclusive")
    return [median(values), cuts[89], cuts[98]]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endpoint.schemas",
        description="Times the rewriting of JSON schemas next to llguidance's own compilation.",
    )
    parser.add_argument(
        "--into", type=Path, default=default_folder(), help="folder for the packages and the corpus"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="runs over each schema; the fastest counts"
    )
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="write the verdict on each schema and exit"
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="compare the verdicts with those in a file and exit",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
