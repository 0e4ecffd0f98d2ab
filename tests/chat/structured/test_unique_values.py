"""Items of one array: equality, and ways to other values."""

import pytest

from friendli_endpoint.chat.structured.unique_values import Item, Items, Rivals


def _items(*texts: bytes) -> Items:
    items = Items(0)
    for text in texts:
        items.is_open = True
        items.current.text.extend(text)
        assert items.end()
    return items


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        (b"1", b"1.0", False),
        (b"1", b"true", True),
        (b"0", b"false", True),
        (b'"1"', b"1", True),
        (b"9007199254740993", b"9007199254740992", False),  # the same for most programs
        (b'{"a":1,"b":[]}', b'{"b":[],"a":1}', False),
        (b"[1,2]", b"[2,1]", True),
        (b"[]", b"{}", True),
        (b"[[]]", b"[]", True),
    ],
)
def test_items_are_equal_as_programs_read_them(first: bytes, second: bytes, differ: bool) -> None:
    items = _items(first)
    items.current.text.extend(second)
    assert items.repeats(b"") != differ
    assert items.end() == differ


def test_the_last_exit_is_the_last_place_with_another_byte() -> None:
    items = Items(0)
    for text in (b'"ab"', b'"ac"'):
        items.current = Item(
            bytearray(text), {1: 1 << ord("a"), 2: (1 << ord("b") | 1 << ord("c"))}
        )
        items.is_open = True
        items.end()
    assert items.is_exhausted()


def test_what_leads_to_an_item_before_is_forbidden_unless_there_is_a_way_out() -> None:
    dead = Item(bytearray(b'"abc"'), {2: 1 << ord("x")}, last_exit=2)
    free = Item(bytearray(b'"abd"'), {3: 1 << ord("x")}, last_exit=3)
    assert Rivals([dead], 1).forbid(b"ab")
    assert not Rivals([dead], 1).forbid(b"a")
    assert not Rivals([dead], 1).forbid(b"x")
    assert not Rivals([dead, free], 1).forbid(b"ab")
    assert Rivals([dead, free], 1).forbid(b'abc"')
    assert Rivals([dead, free], 1).forbid(b'abd",')


def test_numbers_end_only_where_something_follows() -> None:
    number = Item(bytearray(b"1"), {1: 1 << ord("0")}, last_exit=1)
    assert not Rivals([number], 0).forbid(b"1")
    assert not Rivals([number], 0).forbid(b"12")


def test_a_place_that_nobody_asked_about_counts_as_a_way_out() -> None:
    item = Item(bytearray(b'"abc"'), {}, is_known=False)
    item.count_exits()
    assert not Rivals([item], 1).forbid(b"ab")
