"""From the steps of an engine to chunks and whole answers."""
