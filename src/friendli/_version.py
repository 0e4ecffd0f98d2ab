"""Version of the client, and the name it sends."""

VERSION = "0.1.0"
USER_AGENT = f"friendli-dedicated/python {VERSION}"
