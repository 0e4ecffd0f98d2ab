"""Fault matrices: every part that can fail does so once, and every outcome is checked."""
