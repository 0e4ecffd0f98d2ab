"""The endpoint against llama.cpp's own server on the same file, in interleaved rounds."""
