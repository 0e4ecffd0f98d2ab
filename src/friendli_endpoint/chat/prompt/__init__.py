"""From a conversation to prompt tokens: templates, messages as they expect them, tokenising."""
