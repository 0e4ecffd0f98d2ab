"""What `serve` says when it answers: what is served, where, and how to call it."""

import json

from rich.console import Console
from rich.markup import escape

__all__ = ["show_banner"]

EXAMPLE = json.dumps({"model": "any", "messages": [{"role": "user", "content": "Hello!"}]})


def show_banner(
    console: Console,
    name: str,
    address: str,
    sequences: int,
    context: int,
    *,
    needs_token: bool = False,
) -> None:
    """Prints it, in colours where the console is a terminal; programs read its first line.

    Args:
        console: Where to.
        name: What the model calls itself.
        address: As `http://HOST:PORT`.
        sequences: Choices that run at the same time.
        context: Tokens each can hold.
        needs_token: Whether callers must show a token, as the one in `FRIENDLI_TOKEN`.
    """
    token = '-H "Authorization: Bearer $FRIENDLI_TOKEN" ' if needs_token else ""
    curl = (
        f"curl {address}/dedicated/v1/chat/completions "
        f"{token}-H 'content-type: application/json' -d '{EXAMPLE}'"
    )
    console.print(
        f"Serving [bold]{escape(name)}[/] on [bold cyan]{escape(address)}[/]  "
        f"[dim]({sequences} at once, {context} tokens of context)[/]\n"
        f"Try it:  {escape(curl)}\n"
        f"Talk to it:  friendli-endpoint chat --url {escape(address)}",
        soft_wrap=True,
        highlight=False,
        emoji=False,
    )
