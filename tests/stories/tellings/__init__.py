"""The stories, by part of the acceptance list; importing this package registers them."""

from stories.tellings import counting

__all__ = ["counting"]
