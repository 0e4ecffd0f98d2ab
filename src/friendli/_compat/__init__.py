"""Names that exist only for programs written for the published client."""
