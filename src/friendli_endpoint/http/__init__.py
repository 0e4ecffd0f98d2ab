"""The HTTP API: routes, middleware, limits, request bodies, errors and server-sent events."""
