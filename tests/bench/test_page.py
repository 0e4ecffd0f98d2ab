"""Generated sections of the benchmarks page."""

import pytest

from benchmarks.__main__ import COMMANDS, PAGE
from benchmarks.page import rewritten


def test_only_the_named_section_is_replaced() -> None:
    page = PAGE.read_text()
    for name in COMMANDS:
        once = rewritten(page, name, "NEW")
        assert once.count("NEW") == 1
        before, _, rest = page.partition(f"<!-- {name}: begin -->\n")
        after = rest.partition(f"<!-- {name}: end -->\n")[2]
        assert once.startswith(before) and once.endswith(after)
        assert rewritten(once, name, "NEW") == once


def test_a_page_without_the_section_raises() -> None:
    with pytest.raises(ValueError, match="no section 'other'"):
        rewritten(PAGE.read_text(), "other", "NEW")
