"""One exchange with the endpoint: an I/O-free flow, its drivers, and the HTTP client it runs on."""
