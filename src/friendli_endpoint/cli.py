"""The command line of the endpoint."""
