"""All texts but some, as a regular expression."""

from collections.abc import Iterable

from friendli_endpoint.chat.structured.regex.characters import coded

__all__ = ["other_texts"]


def other_texts(texts: Iterable[str]) -> str:
    """A pattern for every text that is none of these.

    Such a text stops at a beginning of theirs that is not one of them, or leaves all of them there.
    """
    listed = set(texts)
    following: dict[str, set[str]] = {"": set()}
    for text in sorted(listed):
        for end in range(len(text)):
            following.setdefault(text[:end], set()).add(text[end])
            following.setdefault(text[: end + 1], set())
    ways = []
    for beginning, characters in following.items():
        written = "".join(map(coded, beginning))
        if beginning not in listed:
            ways.append(written)
        left = f"[^{''.join(map(coded, sorted(characters)))}]" if characters else "(?s:.)"
        ways.append(f"{written}{left}(?s:.*)")
    return f"(?:{'|'.join(ways)})"
