"""Values to choose from, each with its meaning for the reference in docs/table-spec.md."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Choice(StrEnum):
    """A text of a spec or a param, declared as ``NAME = "value", "Meaning."``."""

    _value_: str
    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Create the member; its meaning is no part of its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
