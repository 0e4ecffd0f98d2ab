"""The parts of a page that a program writes: between two comments, which stay."""

from datetime import date

__all__ = ["rewritten"]


def rewritten(page: str, name: str, content: str) -> str:
    """The page with today's content in the part of this name.

    Raises:
        ValueError: The page has no such part.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no part {name!r}")
    return f"{before}{begin}\n{date.today()}, {content.strip()}\n\n{end}{after}"
