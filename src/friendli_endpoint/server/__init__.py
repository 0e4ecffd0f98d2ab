"""The server of the application on one machine: uvicorn, signals, TLS and connection limits."""
