"""Write values and checks as Markdown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from partition_playbook.checks import Check


def escape(value: object) -> str:
    """Return a value as one line of text, with Markdown's special characters escaped."""
    text = " ".join(("" if value is None else str(value)).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", text)


def checks_table(checks: Iterable[Check], waives: Collection[Check] = ()) -> str:
    """Return checks as a Markdown table: blocking ones first, then all others that fell short, with remedies.

    The checks in ``waives`` are marked as those that the answer waives.
    """
    rows = [
        f"| {_outcome(each, each in waives)} | {' | '.join(map(escape, _cells(each)))} |"
        for each in sorted(checks, key=lambda each: (not each.blocks, not each.fell_short))
    ]
    return "\n".join(["| outcome | check | expected | actual | remedy |", "|---|---|---|---|---|", *rows])


def _outcome(each: Check, is_waived_here: bool) -> str:
    return f"{each.label}, **waived by this answer**" if is_waived_here else each.label


def _cells(each: Check) -> tuple[str, ...]:
    return each.name, each.expected, each.actual, each.remedy if each.fell_short else ""
