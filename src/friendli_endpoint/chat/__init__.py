"""Chat semantics: from wire types to tokens and back; independent of HTTP and of engines."""
