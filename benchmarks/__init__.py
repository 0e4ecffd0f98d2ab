"""Benchmarks that report ratios to a named peer in the same run."""
