"""GGUF files: reading, validation, writing, and conversion of weights."""
