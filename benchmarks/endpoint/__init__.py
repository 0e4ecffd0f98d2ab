"""Benchmarks of the endpoint: steps, files, vocabularies."""
