"""Searches of a text that must find something."""

import re


def found_in(pattern: str, text: str) -> re.Match[str]:
    """Where ``pattern`` is in ``text`` first."""
    match = re.search(pattern, text)
    assert match is not None, f"{pattern} is not in {text}"
    return match
