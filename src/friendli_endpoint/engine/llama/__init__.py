"""llama.cpp in process: the C library, the model file, its vocabulary and its context."""
