"""Benchmarks of engines in other processes, compared with an engine in the endpoint's."""
