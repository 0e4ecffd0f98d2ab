"""Friendli Dedicated Chat: the Python client."""
