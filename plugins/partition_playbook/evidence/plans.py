"""Read what EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Node:
    """One node of a plan; ``relation`` and ``schema`` are None where it reads no table of its own."""

    type: str
    relation: str | None
    schema: str | None
    index: str | None
    loops: float
    rows: float
    buffers: int
    subplans_removed: int
    operation: str | None = None
    output: tuple[str, ...] = ()

    @property
    def never_executed(self) -> bool:
        """Tell whether the executor passed the node over."""
        return self.loops == 0


@dataclass(frozen=True)
class Plan:
    """One executed plan: its times, the shared buffers of its execution, and its root as PostgreSQL wrote it."""

    planning_ms: float
    execution_ms: float
    buffers: int
    planning_buffers: int
    root: Mapping[str, Any] = field(repr=False)

    @property
    def total_ms(self) -> float:
        """Return planning and execution time together."""
        return self.planning_ms + self.execution_ms

    @property
    def subplans_removed(self) -> int:
        """Return how many partitions were pruned when the execution began."""
        return sum(node.subplans_removed for node in self.nodes())

    def nodes(self) -> Iterator[Node]:
        """Yield every node, each before its children."""
        yield from (_node(content) for content in _walk(self.root))


def parse(answer: str | Sequence[Mapping[str, Any]]) -> Plan:
    """Read the one document of an EXPLAIN, as text or as psycopg decoded it."""
    (document,) = json.loads(answer) if isinstance(answer, str) else answer
    root = document["Plan"]
    return Plan(
        planning_ms=float(document.get("Planning Time", 0)),
        execution_ms=float(document.get("Execution Time", 0)),
        buffers=_shared(root),
        planning_buffers=_shared(document.get("Planning", {})),
        root=root,
    )


def outline(content: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield a line for every node, indented under its parent: what it reads, and the rows and pages that took."""
    node = _node(content)
    read = f" on {node.relation}" if node.relation else ""
    read += f" using {node.index}" if node.index else ""
    ran = "never executed" if node.never_executed else f"{node.rows:,g} rows, {node.loops:,g} loops"
    removed = f", {node.subplans_removed} subplans removed" if node.subplans_removed else ""
    yield f"{'  ' * depth}{node.type}{read} ({ran}, {node.buffers:,} buffers{removed})"
    for child in content.get("Plans", ()):
        yield from outline(child, depth + 1)


def _walk(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield content
    for child in content.get("Plans", ()):
        yield from _walk(child)


def _node(content: Mapping[str, Any]) -> Node:
    return Node(
        type=content["Node Type"],
        relation=content.get("Relation Name"),
        schema=content.get("Schema"),
        index=content.get("Index Name"),
        loops=float(content.get("Actual Loops", 0)),
        rows=float(content.get("Actual Rows", 0)),
        buffers=_shared(content),
        subplans_removed=int(content.get("Subplans Removed", 0)),
        operation=content.get("Operation"),
        output=tuple(content.get("Output", ())),
    )


def _shared(content: Mapping[str, Any]) -> int:
    return int(content.get("Shared Hit Blocks", 0)) + int(content.get("Shared Read Blocks", 0))
