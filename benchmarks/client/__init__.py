"""Benchmark of the client against the published one, openai's, bare httpx2 and a raw socket."""
