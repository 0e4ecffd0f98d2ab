"""Import paths that programs for the published client use: everything lives in `friendli`."""
