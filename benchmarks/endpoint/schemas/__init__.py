"""Benchmarks of the JSON-schema rewriting, on schemas that are published in packages."""
