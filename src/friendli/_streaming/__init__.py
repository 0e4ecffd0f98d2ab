"""Streaming: bytes to events, events to typed chunks, chunks to a whole answer."""
