"""Read the YAML of a table spec, with the line of each key and without the dangerous parts of YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from partition_playbook import figures
from partition_playbook.errors import InvalidSpec

MAX_SPEC_BYTES = 65_536
# The path of a value: keys of mappings, and positions in lists.
Location = tuple[int | str, ...]


@dataclass(frozen=True)
class Document:
    """The content of a file, and the line of each key and list entry, counted from 1."""

    content: object
    lines: Mapping[Location, int] = field(default_factory=dict)


class _SpecLoader(yaml.SafeLoader):
    """SafeLoader without aliases, repeated keys, and characters outside PostgreSQL's text."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias: a few lines of aliases can expand to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*) are not allowed in a table spec; repeat the value instead")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a repeated key: SafeLoader would silently drop its first value."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        names = [key.value for key in keys]
        if twice := [key for number, key in enumerate(keys) if key.value in names[:number]]:
            raise yaml.MarkedYAMLError(
                problem=f"key {twice[0].value!r} is given twice", problem_mark=twice[0].start_mark
            )
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """Refuse a NUL byte and lone surrogates: PostgreSQL's text and UTF-8 have neither."""
        text = str(super().construct_scalar(node))
        if unfit := re.search("[\0\ud800-\udfff]", text):
            raise yaml.MarkedYAMLError(
                problem=f"the character {unfit[0]!r} is not allowed", problem_mark=node.start_mark
            )
        return text


def read_document(path: Path) -> Document:
    """Read a file of a table spec; InvalidSpec if it is no file, too large, or not plain YAML."""
    most = figures.size(MAX_SPEC_BYTES)
    if not path.is_file():
        raise InvalidSpec("not a file", where=str(path), remedy=f"Put a YAML file of at most {most} there")
    if path.stat().st_size > MAX_SPEC_BYTES:
        raise InvalidSpec(f"larger than {most}", where=str(path), remedy="Shorten it: a table spec is a page of YAML")

    try:
        return _document(path.read_text("utf-8"))
    except Exception as error:  # PyYAML passes on every exception of int() and datetime()
        remedy = "Write plain YAML in UTF-8, with each key once and no aliases or tags"
        raise InvalidSpec(f"not YAML: {_in_one_line(error)}", where=str(path), remedy=remedy) from None


def _document(text: str) -> Document:
    loader = _SpecLoader(text)  # a SafeLoader
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        # The construction changes the nodes, so the lines are read first.
        lines = dict(_lines(node, ()))
        return Document(loader.construct_document(node), lines)
    finally:
        loader.dispose()


def _lines(node: yaml.Node, location: Location) -> Iterator[tuple[Location, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield (*location, key.value), key.start_mark.line + 1
                yield from _lines(value, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*location, number), value.start_mark.line + 1
            yield from _lines(value, (*location, number))


def _in_one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split()) or type(error).__name__
