"""Read the JSON of EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partition_playbook import figures

CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Rows Removed by Filter",
    "Sort Key",
    "Group Key",
)


@dataclass(frozen=True)
class Node:
    """One node of a plan; ``relation`` and ``schema`` are None if it reads no table itself."""

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
        """Return True if the executor skipped the node."""
        return self.loops == 0


@dataclass(frozen=True)
class Plan:
    """One executed plan: times in ms, shared buffers of execution and planning, and its root as decoded JSON."""

    planning_ms: float
    execution_ms: float
    buffers: int
    planning_buffers: int
    root: Mapping[str, Any] = field(repr=False)

    @property
    def total_ms(self) -> float:
        """Return planning and execution time in ms."""
        return self.planning_ms + self.execution_ms

    @property
    def subplans_removed(self) -> int:
        """Return the number of partitions pruned at executor start."""
        return sum(node.subplans_removed for node in self.nodes())

    def nodes(self) -> Iterator[Node]:
        """Yield every node, each before its children."""
        yield from (_node(content) for content in _walk(self.root))


def parse(answer: str | Sequence[Mapping[str, Any]]) -> Plan:
    """Parse the document of an EXPLAIN, as text or decoded by psycopg."""
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
    """Yield the lines of a whole plan, each node indented under its parent, with its conditions below it.

    A node has its relation, index, rows, loops and buffers.
    """
    node, indent = _node(content), "  " * depth
    read = f" on {node.relation}" if node.relation else ""
    read += f" using {node.index}" if node.index else ""
    ran = "never executed" if node.never_executed else f"{_rows(node.rows)}, {figures.count(node.loops, 'loop')}"
    removed = f", {figures.count(node.subplans_removed, 'subplan')} removed" if node.subplans_removed else ""
    buffers = figures.count(node.buffers, "buffer")
    yield f"{indent}{node.type}{read} ({ran}, {buffers}{removed})"
    yield from (f"{indent}    {name}: {_listed(content[name])}" for name in CONDITIONS if content.get(name))

    for child in content.get("Plans", ()):
        yield from outline(child, depth + 1)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rows(average: float) -> str:
    """Return the rows of each loop; PostgreSQL 18 reports fractions."""
    return figures.count(average, "row") if average.is_integer() else figures.measured(average, "rows")


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
