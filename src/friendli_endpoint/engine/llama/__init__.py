"""In-process llama.cpp engine: C bindings, model files, vocabulary, KV caches, batching."""
