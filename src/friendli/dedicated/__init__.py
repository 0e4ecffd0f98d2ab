"""Import paths of the published client; the code is in `friendli`."""
