"""HTTP: routes, bodies, errors and events; knows no tokens."""
