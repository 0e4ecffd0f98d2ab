"""Measures the rewriting of JSON schemas, over schemas that are published in packages."""
