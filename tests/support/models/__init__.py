"""Tiny models with random weights, of the families whose vocabularies and templates matter."""
