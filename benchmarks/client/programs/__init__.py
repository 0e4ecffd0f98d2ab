"""Programs under measurement, one per kind of client, run by `meter.py`.

The meter runs as a script in environments with one client and nothing else of this repository, so
the programs use relative imports, and import only modules that the client imports anyway.
"""
