"""Decoding of one choice: guides, stop criteria, and the interpretation of the output."""
