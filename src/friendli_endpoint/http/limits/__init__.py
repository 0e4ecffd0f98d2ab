"""Limits of callers: bytes of bodies, requests, tokens and time."""
