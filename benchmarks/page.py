"""Replaces generated sections of a page, which are delimited by two comments."""

from datetime import date

__all__ = ["rewritten"]


def rewritten(page: str, name: str, content: str) -> str:
    """Returns the page with today's content in the section of this name.

    Args:
        page: The page, in Markdown.
        name: Name of the section.
        content: New content of the section.

    Raises:
        ValueError: The page has no such section.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no section {name!r}")
    return f"{before}{begin}\n{date.today()}, {content.strip()}\n\n{end}{after}"
