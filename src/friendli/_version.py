"""What this client calls itself."""

VERSION = "0.1.0"
USER_AGENT = f"friendli-dedicated/python {VERSION}"
