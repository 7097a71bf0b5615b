"""The stories that come with RefRef, by name. Reads package data alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from refref.simulator.reading import read_story

_SUFFIX = ".yaml"


@dataclass(frozen=True, slots=True)
class ShelfStory:
    """A story of the library: its name, title and what it is about, and its text."""

    name: str
    title: str
    about: str
    text: str


@lru_cache(maxsize=1)
def library() -> tuple[ShelfStory, ...]:
    """Every story of the library, in the order of their names."""
    folder = files("refref.simulator") / "library"
    found = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(_SUFFIX):
            text = entry.read_text(encoding="utf-8")
            story = read_story(text).story
            found.append(ShelfStory(entry.name.removesuffix(_SUFFIX), story.title, story.about, text))
    return tuple(found)


def story_named(name: str) -> ShelfStory | None:
    """The story of that name; None where there is none."""
    return next((one for one in library() if one.name == name), None)
