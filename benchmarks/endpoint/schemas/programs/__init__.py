"""Programs that print schemas with the libraries that applications use; none is imported."""
