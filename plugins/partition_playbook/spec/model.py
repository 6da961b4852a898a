"""The base of every model of a table spec, and the types of values that several of them have."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from partition_playbook.spec.problems import SECRET


class SpecModel(BaseModel):
    """A frozen mapping of known keys; its errors hide the values."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_HasName)


def distinct_names(named: tuple[Named, ...]) -> tuple[Named, ...]:
    """Raise ValueError if two entries have the same name."""
    if len({each.name for each in named}) < len(named):
        raise ValueError("two entries have the same name; rename one")
    return named


def _without_secret(address: str) -> str:
    if SECRET.search(address):
        raise ValueError("a URL here must not contain a password, because the ledger stores the spec; remove it")
    return address


Address = Annotated[str, AfterValidator(_without_secret)]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,250}$")]
