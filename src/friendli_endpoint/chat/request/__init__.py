"""The request: its rules, and the typed form that the rest of `chat` works with."""
