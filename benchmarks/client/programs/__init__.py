"""What is measured: one small program for each kind of client, run by `meter.py`.

The meter runs as a script in environments that hold one client and nothing of this repository, so
the programs import each other relatively, and nothing that the client itself would not.
"""
