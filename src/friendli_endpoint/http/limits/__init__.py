"""How much callers may ask for: bytes, requests, tokens, time."""
