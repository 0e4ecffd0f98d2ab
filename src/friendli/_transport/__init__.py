"""HTTP exchanges with the endpoint: a flow without I/O, its drivers, and the HTTP client."""
