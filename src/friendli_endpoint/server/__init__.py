"""Serving the application on one machine: uvicorn, signals, TLS, bounds on connections."""
