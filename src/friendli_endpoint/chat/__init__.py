"""The chat semantics: from wire types to tokens and back; knows no HTTP and no engine."""
