"""The users of the application: threads that write and read through tRPC over HTTP, and record each request."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from partition_playbook import figures
from staging.backend.history import History, Json, Place, Question, iso

USERS = 4
RATE = 8.0  # requests a second for each user: a product in use, not a benchmark
PATIENCE_SECONDS = 15.0  # for one answer; a person would have left
MOST_ROWS = 20
NO_ANSWER = 0
FIRST_ID = 1_000_000  # the fixed rows have the ids from -1 downwards
IDS_EACH = 1_000_000_000
LATEST = timedelta(days=365)


class TrafficError(RuntimeError):
    """The users could not begin, or one of them has died."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request: its HTTP status and its data, or the problem that a user sees."""

    status: int
    data: Any = None
    problem: str = ""


@dataclass(frozen=True)
class Request:
    """A request with its moment as Unix time, and its result.

    ``equal`` is None if the answer was not compared. ``problem`` is empty if the user saw no error.
    """

    at: float
    seconds: float
    procedure: str
    status: int
    problem: str = ""
    equal: bool | None = None
    expected: str = ""
    found: str = ""


class Client:
    """A session of a user: it sends requests, and records them."""

    def __init__(self, url: str, record: Callable[[Request], None]) -> None:
        self._http = httpx.Client(base_url=f"{url}/trpc", timeout=PATIENCE_SECONDS, trust_env=False)
        self._record = record
        self.sent = 0

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def query(self, question: Question, judge: Callable[[Any], tuple[object, object]] | None = None) -> Answer:
        """Ask a query; ``judge`` returns the expected and the found value of its data."""
        given = {"input": json.dumps(question.input)}
        return self._timed(question.procedure, lambda: self._http.get(question.procedure, params=given), judge)

    def mutate(
        self, procedure: str, given: Json, judge: Callable[[Any], tuple[object, object]] | None = None
    ) -> Answer:
        """Send a mutation, and judge its data."""
        return self._timed(procedure, lambda: self._http.post(procedure, json=given), judge)

    def _timed(
        self,
        procedure: str,
        send: Callable[[], httpx.Response],
        judge: Callable[[Any], tuple[object, object]] | None,
    ) -> Answer:
        self.sent += 1
        at, clock = time.time(), time.perf_counter()
        answer = _answer(send)
        seconds = time.perf_counter() - clock

        if answer.problem or judge is None:
            self._record(Request(at, seconds, procedure, answer.status, answer.problem))
            return answer
        expected, found = judge(answer.data)
        equal = expected == found
        texts = ("", "") if equal else (_text(expected), _text(found))
        self._record(Request(at, seconds, procedure, answer.status, equal=equal, expected=texts[0], found=texts[1]))
        return answer


def _answer(send: Callable[[], httpx.Response]) -> Answer:
    try:
        response = send()
    except httpx.HTTPError as error:
        return Answer(NO_ANSWER, problem=type(error).__name__)
    try:
        body = response.json()
    except ValueError:
        return Answer(response.status_code, problem=f"HTTP {response.status_code} without JSON")

    if failure := body.get("error"):
        code = failure.get("data", {}).get("code", "unknown")
        return Answer(
            response.status_code, problem=f"HTTP {response.status_code} {code}: {failure.get('message')}"[:200]
        )
    if response.status_code != 200:
        return Answer(response.status_code, problem=f"HTTP {response.status_code}")
    return Answer(200, body["result"]["data"])


def _text(value: object) -> str:
    return json.dumps(value, default=str)[:200]


class User:
    """One user: in turn writes readings, sends them again, and reads.

    Readings with ids of the user's own have ids below zero: the live writers leave those alone.
    """

    def __init__(self, number: int, client: Client, history: History, known: Mapping[str, Any], late: float) -> None:
        self.acknowledged: set[int] = set()
        self._client = client
        self._history = history
        self._known = known  # the answer to each fixed question, by procedure
        self._late = late
        self._random = random.Random(number)
        first = FIRST_ID + number * IDS_EACH
        self._ids = (-each for each in itertools.count(first))
        self._next: Iterator[Callable[[], None]] = iter(())

    def close(self) -> None:
        """Close the session."""
        self._client.close()

    def act(self) -> int:
        """Send the requests of one action, and return their number."""
        before = self._client.sent
        action = next(self._next, None)
        if action is None:
            actions = [self._ingest, self._ingest_once, self._ingest_once, *self._open_reads, *self._fixed_reads]
            self._random.shuffle(actions)
            self._next = iter(actions)
            action = next(self._next)
        action()
        return self._client.sent - before

    def _ingest(self) -> None:
        """Write readings whose ids the database gives."""
        sent = self._readings()
        self._client.mutate("readings.ingest", {"readings": sent}, lambda data: (len(sent), len(data["inserted"])))

    def _ingest_once(self) -> None:
        """Write readings with ids, send the same ones again in both ways, and read them."""
        sent = [{"id": next(self._ids), **each} for each in self._readings()]
        ids = [each["id"] for each in sent]
        batch = {"readings": sent}
        written = self._client.mutate("readings.ingest", batch, lambda data: (ids, _ids(data)))
        if written.problem:
            return
        self.acknowledged.update(ids)

        for procedure in ("readings.repeat", "readings.ingest"):
            self._client.mutate(procedure, batch, lambda data: ([], _ids(data)))
        self._read_own(sent[0])

    def _read_own(self, sent: Json) -> None:
        """Read a reading that was acknowledged: it must be there, with its values."""
        moment = datetime.fromisoformat(sent["recordedAt"])
        span = {"from": iso(moment), "to": iso(moment + timedelta(milliseconds=1))}
        expected = (sent["id"], f"{sent['temperature']:.2f}", f"{sent['humidity']:.2f}", sent["battery"])

        def judge(data: Sequence[Json]) -> tuple[object, object]:
            found = [(e["id"], e["temperature"], e["humidity"], e["battery"]) for e in data if e["id"] == sent["id"]]
            return [expected], found

        self._client.query(Question("readings.byUnit", {"unitId": sent["unitId"], **span}), judge)

    @property
    def _open_reads(self) -> list[Callable[[], None]]:
        """Return reads up to now, whose answers differ with each new row."""
        now = datetime.now(UTC)
        unit = {"unitId": str(self._place.unit_id)}
        hour, week = ({"from": iso(now - timedelta(hours=h)), "to": iso(now)} for h in (1, 24 * 7))
        questions = (
            Question("readings.recent", unit),
            Question("readings.byUnit", unit | hour),
            Question("readings.aggregate", unit | week),
            Question("alerts.evaluate", hour),
        )
        return [lambda each=each: self._ask(each) for each in questions]  # type: ignore[misc]

    @property
    def _fixed_reads(self) -> list[Callable[[], None]]:
        """Return the fixed questions, whose answers must be the known ones."""
        return [lambda each=each: self._ask_again(each) for each in self._history.questions]  # type: ignore[misc]

    def _ask(self, question: Question) -> None:
        self._client.query(question)

    def _ask_again(self, question: Question) -> None:
        self._client.query(question, lambda data: (self._known[question.procedure], data))

    @property
    def _place(self) -> Place:
        return self._random.choice(self._history.places)

    def _readings(self) -> list[dict[str, Any]]:
        count = self._random.choice((1, 1, 5, MOST_ROWS))
        return [self._reading(self._place) for _ in range(count)]

    def _reading(self, place: Place) -> dict[str, Any]:
        return {
            "unitId": str(place.unit_id),
            "deviceId": str(place.device_id),
            "temperature": self._random.randint(-1000, 2000) / 100,
            "humidity": self._random.randint(0, 10_000) / 100,
            "battery": self._random.randrange(101),
            "signalStrength": self._random.randint(-100, 20),
            "recordedAt": iso(self._moment()),
            "source": "users",
        }

    def _moment(self) -> datetime:
        late = self._random.random() < self._late
        return datetime.now(UTC) - (self._random.random() * LATEST if late else timedelta())


def _ids(data: Json) -> list[int]:
    return [each["id"] for each in data["inserted"]]


class Traffic:
    """A group of users at work, from entering the context to leaving it.

    ``late`` is the share of new readings with a random moment of the past year, like readings of devices that were
    offline.
    """

    def __init__(self, url: str, history: History, users: int = USERS, rate: float = RATE, late: float = 0.2) -> None:
        self._url = url
        self._rate = rate
        self._requests: list[Request] = []
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        known = self._ask_first(history)
        self._users = [User(n, Client(url, self._requests.append), history, known, late) for n in range(users)]
        self._threads = [threading.Thread(target=self._work, args=(user,), daemon=True) for user in self._users]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return all requests so far; TrafficError if a user has died."""
        if self._failures:
            raise TrafficError(f"a user of the application died: {self._failures[0]!r}") from self._failures[0]
        return tuple(self._requests)

    @property
    def acknowledged(self) -> frozenset[int]:
        """Return the ids of the rows whose writes were answered, as far as users gave them; after ``stop`` all."""
        return frozenset(itertools.chain.from_iterable(tuple(user.acknowledged) for user in self._users))

    def count_since(self, moment: float) -> int:
        """Count the requests that began after a moment in Unix time."""
        return sum(each.at >= moment for each in self.requests)

    def wait_for(self, count: int, since: float, seconds: float = 120) -> None:
        """Wait until the users have sent so many requests since a moment; TrafficError if that takes too long."""
        deadline = time.monotonic() + seconds
        while self.count_since(since) < count:
            if time.monotonic() > deadline:
                sent = f"{figures.number(self.count_since(since))} of {figures.count(count, 'request')}"
                raise TrafficError(f"the users sent {sent} within {figures.seconds(seconds)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Let each user finish its open action; each request in it has its time limit."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for user in self._users:
            user.close()

    def _ask_first(self, history: History) -> Mapping[str, Any]:
        """Ask each fixed question once: these are the answers that all later ones are compared with."""
        client = Client(self._url, lambda request: None)
        known: dict[str, Any] = {}
        for question in history.questions:
            answer = client.query(question)
            if answer.problem or not answer.data:
                raise TrafficError(f"{question.procedure} has no answer to compare with: {answer.problem or 'no row'}")
            known[question.procedure] = answer.data
        client.close()
        return known

    def _work(self, user: User) -> None:
        due = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                sent = user.act()
                # A user that is late does not catch up.
                due = max(due, time.monotonic() - 1) + sent / self._rate
        except BaseException as error:
            self._failures.append(error)
