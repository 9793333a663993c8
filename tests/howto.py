"""The examples of `docs/testing.md`."""

import re
from pathlib import Path

__all__ = ["example"]

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"


def example(language: str, containing: str) -> str:
    """Return the page's one example in a language that contains a text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if containing in block]
    return found
