"""Checks that relative links and module paths in the documentation exist in the repository.

Run it with `make docs`. It prints every broken link or path, and then exits with 1.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
MODULE = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py)`")
SOURCES = ("", "src/friendli", "src/friendli_endpoint")


def main() -> int:
    """Checks all pages; returns 1 if a link or path is broken, else 0."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for target in missing(page)
    ]
    print("\n".join(broken) or "all links and module paths in the documentation exist")
    return bool(broken)


def missing(page: Path) -> list[str]:
    """Returns the links and module paths of a page that do not exist in the repository."""
    text = page.read_text()
    links = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    modules = [
        module
        for module in MODULE.findall(text)
        if not any((ROOT / source / module).exists() for source in SOURCES)
    ]
    return links + modules


if __name__ == "__main__":
    sys.exit(main())
