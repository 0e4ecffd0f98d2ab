"""`python -m friendli_endpoint.cli` is `friendli-endpoint`."""

from friendli_endpoint.cli import main

main()
