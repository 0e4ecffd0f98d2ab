"""Checks that every relative link of the documentation leads somewhere, and so does every module.

Run it with `make docs`; it prints what is broken and exits with 1.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
MODULE = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py)`")
SOURCES = ("", "src/friendli", "src/friendli_endpoint")


def main() -> int:
    """Checks all pages."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for target in missing(page)
    ]
    print("\n".join(broken) or "every link and every module named in the documentation is there")
    return bool(broken)


def missing(page: Path) -> list[str]:
    """What a page names and the repository has not."""
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
