"""Separates reasoning from the answer."""
