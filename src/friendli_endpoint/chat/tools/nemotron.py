"""Nemotron Nano v2: a JSON list of calls between `<TOOLCALL>` and `</TOOLCALL>`."""

from friendli_endpoint.chat.tools.json_list import JsonList

__all__ = ["NEMOTRON"]

NEMOTRON = JsonList("nemotron", "<TOOLCALL>", "</TOOLCALL>")
"""The family of Nemotron Nano v2; Nemotron 3 writes calls like Qwen3-Coder."""
