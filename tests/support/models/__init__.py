"""Tiny models with random weights, with vocabularies and chat templates of several families."""
