"""llama.cpp's own server, as its Python wheel has it, in a process of its own.

Usage: python -m benchmarks.endpoint.peer MODEL SEQUENCES CONTEXT
Prints the address it listens on and serves until its standard input is closed.
"""

import sys

import xllamacpp


def main(model: str, sequences: int, context: int) -> None:
    """Serves a model with the server's own defaults, but for the capacity."""
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = sequences
    params.n_ctx = sequences * context
    params.cpuparams.n_threads = 2
    params.cpuparams_batch.n_threads = 2
    server = xllamacpp.Server(params)
    print(f"Serving on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
