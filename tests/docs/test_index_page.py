"""The README as an index shows it: nothing in it leads to files of the repository."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)]*)\)")


def shown() -> str:
    """Returns the description of the distribution, made as hatch-fancy-pypi-readme makes it."""
    made = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((ROOT / part["path"]).read_text(encoding="utf-8") for part in made["fragments"])
    for change in made["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_no_link_or_picture_is_relative() -> None:
    targets = [target for _, target in LINK.findall(shown())]
    assert all(target.startswith(("https:", "http:", "#")) for target in targets), targets


def test_links_keep_their_texts_and_nothing_else_is_lost() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\([^)]*\)\n*", readme)
    assert pictures
    for picture in pictures:
        readme = readme.replace(picture, "")
    assert shown() == LINK.sub(r"\1", readme)


def test_the_description_is_made_when_the_distribution_is_built() -> None:
    assert "readme" in PROJECT["project"]["dynamic"]
    assert any("hatch-fancy-pypi-readme" in name for name in PROJECT["build-system"]["requires"])
