"""Prefix cache on disk: files with the KV cache of blocks of tokens."""
