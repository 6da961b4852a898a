"""Paths of an object store, or of a folder in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol, Self


class ObjectPath(Protocol):
    """The part of a path that artifacts and archives use; pathlib's Path and Airflow's ObjectStoragePath have it."""

    @property
    def name(self) -> str:
        """Return the last part of the path."""

    def __truediv__(self, name: str) -> Self:
        """Return the path of a child."""

    def open(self, mode: str) -> IO[Any]:
        """Open the object."""

    def exists(self) -> bool:
        """Return True if the object exists."""

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Create the folder; a store without folders ignores it."""

    def iterdir(self) -> Iterable[Self]:
        """Return the paths of the children."""

    def unlink(self) -> None:
        """Remove the object."""


OpenStore = Callable[[str], ObjectPath]
