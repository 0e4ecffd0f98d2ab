"""Benchmarks chat completions over HTTP, on this endpoint and its peers, in interleaved rounds.

The package imports no other package of the endpoint: it drives this endpoint over HTTP as it
drives any other server.
"""
