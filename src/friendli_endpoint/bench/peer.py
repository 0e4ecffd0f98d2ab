"""llama.cpp's own server, from the xllamacpp wheel: `python -m friendli_endpoint.bench.peer`.

Prints the address that it listens on, and serves until its standard input is closed.
"""

import argparse
import sys
from pathlib import Path

import xllamacpp  # type: ignore[import-untyped]


def main() -> None:
    """Serves a model with the server's defaults, except for the options set here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--max-sequences", type=int, required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens of each sequence")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--no-flash-attention", action="store_true")
    flags = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = str(flags.model)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = flags.max_sequences
    params.n_ctx = flags.max_sequences * flags.context
    params.cpuparams.n_threads = flags.threads
    params.cpuparams_batch.n_threads = flags.threads
    if flags.no_flash_attention:
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    print(f"Serving on {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
