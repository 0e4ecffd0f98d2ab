"""Names that exist only for programs for the published client."""
