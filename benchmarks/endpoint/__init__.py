"""Benchmarks of parts of the endpoint in one process, without HTTP."""
