"""Leaves out the tests that need Ray where it is not installed; `make test-scale` installs it."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("ray") else ["ray"]
