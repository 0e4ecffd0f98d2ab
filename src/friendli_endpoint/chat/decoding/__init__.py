"""Decoding of one choice: guides, stop criteria, and the reading of the output."""
