"""What is measured: one small program for each kind of client, run by `meter.py`.

They run as scripts in environments that hold one client and nothing of this repository, so they
import each other by bare names, and nothing that the client itself would not.
"""
