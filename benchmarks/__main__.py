"""Runs every benchmark: `make bench`, or one of them: `python -m benchmarks endpoint`."""

import importlib.util
import runpy
import sys

NAMES = [n for n in ("client", "endpoint") if importlib.util.find_spec(f"benchmarks.{n}.__main__")]

if __name__ == "__main__":
    chosen = sys.argv[1:] or NAMES
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}")
    sys.argv = sys.argv[:1]
    for name in chosen:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
