"""Procedures of the application over real HTTP: what is sent, counted and compared, and no false verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.sections.application import calls
from partition_playbook.sections.application.calls import Series, measure
from partition_playbook.sections.application.http_probes import client_of
from partition_playbook.sections.application.procedures import Compared, compared_checks
from partition_playbook.spec import Application, Procedure
from tests.fixtures.web import Quiet, served

PATH = "/readings.latest"


class Trpc(Quiet):
    """Answer as the test says: a status with a content, made anew for each request."""

    answer: ClassVar[Callable[[], tuple[int, Any]]]
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, content = type(self).answer()
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        with suppress(OSError):  # the client has gone at its time limit
            self.end_headers()
            self.wfile.write(body)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with served(Trpc) as address:
        yield address


@pytest.fixture(autouse=True)
def forgotten() -> None:
    Trpc.asked.clear()


def answers_with(answer: Callable[[], tuple[int, Any]]) -> None:
    Trpc.answer = staticmethod(answer)


def says(content: Any, status: int = 200) -> None:
    answers_with(lambda: (status, content))


def rows(*ids: object) -> dict[str, Any]:
    return {"result": {"data": {"json": [{"id": each, "at": "2026-01-01"} for each in ids]}}}


def growing() -> None:
    """Answer each request with one row more."""
    numbers = count(100)
    answers_with(lambda: (200, rows(*range(next(numbers)))))


class Asked:
    """A procedure, with what was measured before and during; the answers of both have three rows."""

    def __init__(self, base_url: str, **keys: Any) -> None:
        asked = {"name": "latest", "path": PATH, "max_seconds": 5} | keys
        self.application = Application.model_validate({"base_url": base_url, "procedures": [asked]})
        self.procedure: Procedure = self.application.procedures[0]
        says(rows(1, 2, 3))
        self.before, self.during, self.after = self.measured(), self.measured(2), Series()

    def measured(self, number: int = calls.CALLS) -> Series:
        with client_of(self.application) as client:
            return measure(client, self.procedure, number)

    def checked(self) -> tuple[Check, Check]:
        now = self.measured()
        compared = Compared(self.procedure, now, self.before, self.during, self.after)
        answer, seconds = compared_checks("procedure_latest", compared)
        return answer, seconds


@pytest.fixture
def asked(base_url: str) -> Asked:
    return Asked(base_url)


def test_the_same_answers_pass_with_their_times(asked: Asked) -> None:
    Trpc.asked.clear()
    answer, seconds = asked.checked()
    assert answer.outcome is Outcome.PASSED
    assert answer.actual == "20 answers with the same content"
    assert answer.evidence["sha256"] == answer.evidence["sha256_before"]
    assert (seconds.name, seconds.outcome) == ("response_time_procedure_latest", Outcome.PASSED)
    assert seconds.actual.startswith("p95 of 20 calls ")
    assert "; before: p95 of 20 calls " in seconds.actual
    assert Trpc.asked == [PATH] * 22


def test_the_input_is_sent_as_the_json_of_the_spec(base_url: str) -> None:
    given = {"json": {"unitId": 7, "name": "Größe & more", "since": None}}
    Asked(base_url, input=given, path=f"{PATH}?token=x")
    query = parse_qs(urlsplit(Trpc.asked[0]).query)
    assert query == {"token": ["x"], "input": ['{"json":{"unitId":7,"name":"Größe & more","since":null}}']}
    Trpc.asked.clear()
    Asked(base_url, input=[1, 2.5])
    assert Trpc.asked[0] == f"{PATH}?input=%5B1%2C2.5%5D"


def test_another_answer_is_a_no_go(asked: Asked) -> None:
    says(rows(1, 2))
    answer, _ = asked.checked()
    assert answer.blocks
    assert answer.actual == "another answer than before: the SHA-256 of its content differs"
    assert "`varies: true`" in answer.remedy


def test_another_order_of_keys_is_the_same_answer(asked: Asked) -> None:
    says({"result": {"data": {"json": [{"at": "2026-01-01", "id": each} for each in (1, 2, 3)]}}})
    assert asked.checked()[0].outcome is Outcome.PASSED


def test_an_answer_that_varies_is_compared_by_status_and_shape(base_url: str) -> None:
    asked = Asked(base_url, varies=True)
    says(rows(1, 2, 3, 4))
    answer, _ = asked.checked()
    assert answer.outcome is Outcome.PASSED
    assert answer.actual == (
        "20 answers of the same status and shape; the content was not compared: the spec says that it varies"
    )
    assert answer.evidence["compared"] == "status and shape"
    says(rows("1"))
    assert asked.checked()[0].blocks
    assert asked.checked()[0].actual == ".result.data.json[].id was number, and is text"
    says(rows(1), status=202)
    assert asked.checked()[0].actual == "answered 202, before 200"


def test_an_answer_that_changed_before_the_cutover_is_no_verdict(asked: Asked) -> None:
    says(rows(1, 2, 3, 4))
    asked.during = asked.measured(2)
    says(rows(1, 2, 3, 4, 5))
    answer, _ = asked.checked()
    assert answer.outcome is Outcome.PASSED
    assert answer.actual.endswith("the content was not compared: its answer changed before the cutover")


def test_answers_before_that_differ_from_one_another_are_no_verdict(asked: Asked) -> None:
    growing()
    asked.before, asked.during = asked.measured(), Series()
    says(rows(1))
    answer, _ = asked.checked()
    assert answer.outcome is Outcome.PASSED
    assert answer.actual.endswith("its answers before the migration differed from one another")


def test_rows_that_arrive_only_after_the_cutover_are_a_warning(asked: Asked) -> None:
    growing()
    answer, _ = asked.checked()
    assert (answer.outcome, answer.severity) == (Outcome.FAILED, Severity.WARNING)
    assert answer.actual.startswith("cannot tell if its content is as before: its answers now differ")


def test_rows_that_arrive_after_an_equal_answer_are_a_warning(asked: Asked) -> None:
    asked.after = asked.measured()
    says(rows(1, 2, 3, 4))
    answer, _ = asked.checked()
    assert (answer.outcome, answer.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "it was the same after the cutover, so rows may have arrived since" in answer.actual
    says({"result": {}})
    assert asked.checked()[0].blocks
    assert asked.checked()[0].actual.startswith(".result.data is missing")


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        ({"error": {"message": "no such table"}}, 500, "answered 500"),
        ({"error": {"message": "no such table"}}, 200, "answered 200 with an error"),
        (b"<html>", 200, "answered 200 without JSON"),
        (b"[" * 100_000, 200, "answered 200 without JSON"),
        (b'"' + b"x" * calls.MOST_BYTES, 200, "an answer of more than 4 MiB"),
    ],
)
def test_errors_are_counted(asked: Asked, content: Any, status: int, told: str) -> None:
    says(content, status)
    answer, seconds = asked.checked()
    assert answer.blocks
    assert answer.actual == f"20 errors in 20 calls: {told}; 0 before"
    assert seconds.outcome is Outcome.SKIPPED


def fails_at(number: int) -> None:
    Trpc.asked.clear()
    answers_with(lambda: (500 if len(Trpc.asked) == number else 200, rows(1, 2, 3)))


def test_an_error_of_a_warm_up_is_not_counted_and_any_other_is(asked: Asked) -> None:
    """A connection of the application's pool may have a prepared statement of the table before."""
    fails_at(1)
    assert asked.checked()[0].outcome is Outcome.PASSED
    fails_at(10)
    assert asked.checked()[0].actual == "1 error in 20 calls: answered 500; 0 before"
    fails_at(10)
    asked.before = asked.measured()
    fails_at(12)
    answer, _ = asked.checked()
    assert (answer.outcome, answer.severity) == (Outcome.FAILED, Severity.WARNING)
    assert answer.actual == "1 error in 20 calls: answered 500; 1 before"


def test_an_application_that_cannot_be_reached_is_an_error() -> None:
    answer, seconds = Asked("http://127.0.0.1:1", path=f"{PATH}?token=x").checked()
    assert (answer.outcome, answer.severity) == (Outcome.FAILED, Severity.WARNING)  # as before
    assert answer.actual.startswith("20 errors in 20 calls: no answer: ConnectError; 20 before")
    assert answer.expected.startswith(f"GET {PATH} answers")
    assert seconds.outcome is Outcome.SKIPPED


def slow_from(number: int, until: int = 1000) -> None:
    Trpc.asked.clear()

    def answer() -> tuple[int, Any]:
        time.sleep(0.25 if number <= len(Trpc.asked) <= until else 0)
        return 200, rows(1, 2, 3)

    answers_with(answer)


def test_one_slow_call_of_twenty_passes_and_two_do_not(base_url: str) -> None:
    asked = Asked(base_url, max_seconds=0.2)
    slow_from(5, 5)
    answer, seconds = asked.checked()
    assert [answer.outcome, seconds.outcome] == [Outcome.PASSED] * 2
    assert "1 stopped" in seconds.actual
    slow_from(3)
    answer, seconds = asked.checked()
    assert answer.outcome is Outcome.SKIPPED
    assert seconds.blocks
    assert len(Trpc.asked) <= 4  # two warm-ups, then two calls decide
    asked.before = asked.measured()
    assert asked.checked()[1].severity is Severity.WARNING


def test_an_answer_that_trickles_is_stopped() -> None:
    class Trickles(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(40):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.05)

    with served(Trickles) as address:
        started = time.monotonic()
        asked = Asked(address, max_seconds=0.15)
        assert asked.during.late == asked.during.calls == 2
    assert time.monotonic() - started < 6


def test_without_an_answer_before_nothing_is_compared(asked: Asked) -> None:
    asked.before = asked.during = Series()
    answer, _ = asked.checked()
    assert (answer.outcome, answer.severity) == (Outcome.FAILED, Severity.WARNING)
    assert answer.actual == "no answer was recorded before the migration, so nothing is compared"
