"""Records the quick start of the README as a picture: docs/images/quick-start.svg.

    .venv/bin/python docs/quick_start.py

Runs `make demo`, serves the embedded model, and asks it with curl; the picture shows the output.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.json import JSON
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "quick-start.svg"
PATH = "/dedicated/v1/chat/completions"
MESSAGE = {"role": "user", "content": "Hello!"}
BODY = json.dumps({"model": "any", "messages": [MESSAGE], "temperature": 0})
JSON_TYPE = "content-type: application/json"
WIDTH = 104


def main() -> None:
    """Writes the picture."""
    console = Console(record=True, width=WIDTH)
    type_command(console, "make demo")
    console.print(run("make", "--no-print-directory", "demo"), end="\n\n", highlight=False)
    type_command(console, ".venv/bin/friendli-endpoint serve --port 8000")
    command = [sys.executable, "-m", "friendli_endpoint.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            banner = server.stdout.readline()
            address = banner.partition(" on ")[2].split()[0]
            console.print(banner.replace(address, "http://127.0.0.1:8000"), highlight=False)
            type_command(
                console,
                f"curl http://127.0.0.1:8000{PATH} -H {shlex.quote(JSON_TYPE)} \\\n"
                f"    -d {shlex.quote(BODY)}",
            )
            answer = run("curl", "--silent", address + PATH, "-H", JSON_TYPE, "-d", BODY)
            console.print(JSON(answer, indent=None).text)
        finally:
            server.terminate()
    # The default style loads its font from a host on the internet.
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="Quick start"), flags=re.S)
    PICTURE.write_text(svg)


def type_command(console: Console, command: str) -> None:
    """Prints a command as a shell shows it when it is typed."""
    console.print(Text.assemble(("$ ", "green"), (command, "bold")))


def run(*command: str) -> str:
    """Runs a command in the root of the repository and returns its standard output."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
