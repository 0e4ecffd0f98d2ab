"""Engines as replicas of a Ray Serve deployment; only this package imports ray."""
