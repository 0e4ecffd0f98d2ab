"""Reliability experiments on the real model: `python -m tests.load`."""
