"""Proofs of reliability on the real model: `python -m tests.load`."""
