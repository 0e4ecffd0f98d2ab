"""GGUF files: reading, checking, writing, repacking."""
