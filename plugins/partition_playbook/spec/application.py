"""The proof of a working application: its reads in SQL and over HTTP, and its tests."""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from partition_playbook.spec.model import Address, SpecModel, distinct_names


class Probe(SpecModel):
    """A SELECT of the application, run on both tables in one snapshot after the cutover and after a rollback.

    Preflight runs it on the table first, under several plans, so that a wrong probe stops the run before it begins.
    """

    name: str = Field(description="A unique name. The checks `probe_<name>` and `response_time_<name>` carry it.")
    sql: str = Field(
        description="One SELECT with `{table}` for the table; write other braces twice. Both tables must return the "
        "same rows, at most 20,000. With LIMIT, use an ORDER BY without ties."
    )
    max_seconds: float = Field(
        default=2,
        gt=0,
        le=3600,
        description="Time limit on the live table, in seconds. Take the longest time that the application can wait.",
    )


class HttpProbe(SpecModel):
    """A GET request to the application, sent in preflight, after the cutover and after a rollback.

    A late or failed one is sent up to three times.
    """

    name: str = Field(description="A unique name. The checks `http_<name>` and `response_time_http_<name>` carry it.")
    path: str = Field(
        description="Path and query, appended to `base_url`. Reports omit the query, which may be secret."
    )
    max_seconds: float = Field(default=2, gt=0, le=3600, description="Time limit for the whole answer, in seconds.")
    expect_status: int = Field(
        default=200,
        description="The expected HTTP status. JSON with a top-level key `error` fails even with this status.",
    )


def _is_json(value: JsonValue) -> JsonValue:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}; write another value") from error
    return value


class Procedure(SpecModel):
    """A tRPC query of the application, sent by GET before the migration, before and after the cutover, after a watch.

    Its answers are compared by their content. A content that changed before the cutover is no verdict: then only the
    status and the shape of the answer count. The shape is its keys and their types.
    """

    name: str = Field(
        description="A unique name. The checks `procedure_<name>` and `response_time_procedure_<name>` carry it."
    )
    path: str = Field(
        description="Path, appended to `base_url`. Reports omit a query string in it, which may be secret."
    )
    input: Annotated[JsonValue, AfterValidator(_is_json)] = Field(
        default=None,
        description="Input of the query, as JSON; `null` sends none. It is sent as written: with superjson write "
        '`{"json": ...}` yourself.',
    )
    varies: bool = Field(
        default=False,
        description="`true`: the content of the answer may differ, because rows arrive or it depends on the time. "
        "Status and shape must stay equal.",
    )
    max_seconds: float = Field(
        default=2, gt=0, le=600, description="Time limit in seconds for 19 of 20 calls. A call is stopped there."
    )


def _is_passed_on(name: str) -> str:
    if name.upper().startswith("AIRFLOW"):
        raise ValueError("a variable of Airflow is never passed on, because it may hold a secret; remove it")
    return name


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_is_passed_on)]


class Command(SpecModel):
    """A program that tests the application, run on the worker in preflight and after the cutover.

    It passes with exit code 0. One that fails in preflight stops the run. Mode `plan` runs none. No shell reads the
    arguments.
    """

    name: str = Field(description="A unique name. The check `command_<name>` carries it.")
    command: Annotated[tuple[Address, ...], Field(min_length=1)] = Field(
        description='The program and its arguments, such as `[npm, test, --, --grep, "sensor.*reading"]`. No secret in '
        "them: the ledger and the process list show them."
    )
    environment: tuple[Variable, ...] = Field(
        default=(),
        description="Names of the worker's environment variables to pass on, beside `PATH`. Names that begin with "
        "`AIRFLOW` are refused. Their values of 6 characters or more are masked in the output.",
    )
    folder: Annotated[str, Field(pattern="^/")] | None = Field(
        default=None, description="Absolute path of the working directory on the worker."
    )
    max_seconds: float = Field(
        default=600,
        gt=0,
        le=7200,
        description="Time limit in seconds. Then the program and all processes of its group are ended.",
    )

    @model_validator(mode="after")
    def _names_a_program(self) -> Self:
        if not self.command[0]:
            raise ValueError("command begins with an empty text; begin it with the name of a program")
        return self


class Application(SpecModel):
    """The proof of a working application: its own reads in SQL and over HTTP, and its own tests."""

    probes: Annotated[tuple[Probe, ...], AfterValidator(distinct_names)] = Field(
        default=(), description="SQL statements of the application. Without any, the check is skipped."
    )
    base_url: Address | None = Field(
        default=None,
        description="Start of the application's URLs, such as `https://staging.example.org/api`. No password in it: "
        "the ledger stores the spec.",
    )
    http_probes: Annotated[tuple[HttpProbe, ...], AfterValidator(distinct_names)] = Field(
        default=(), description="Requests to the application; they need `base_url`. Without any, the check is skipped."
    )
    procedures: Annotated[tuple[Procedure, ...], AfterValidator(distinct_names)] = Field(
        default=(),
        description="tRPC queries whose answers are compared; they need `base_url`. Without any, none is sent.",
    )
    commands: Annotated[tuple[Command, ...], AfterValidator(distinct_names)] = Field(
        default=(), description="Programs that test the application. Without any, none is run."
    )

    @model_validator(mode="after")
    def _http_needs_a_base(self) -> Self:
        for key in ("http_probes", "procedures"):
            if getattr(self, key) and not self.base_url:
                raise ValueError(f"{key} need base_url; add the start of the application's URLs")
        return self
