"""From a conversation to prompt tokens: chat templates, message preparation, tokenization."""
