"""Gates: the facts of the ledger that permit a step. The state of a task in Airflow is none of them.

A step reads its gate under the advisory lock of the step, and a swap once more in its own transaction. A verdict counts
for its own run only, an answer for one question, and only while no check behind it was made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from partition_playbook.checks import Verdict
from partition_playbook.database import Row, Session
from partition_playbook.errors import GateClosed
from partition_playbook.ledger import Phase, read_answers, read_check_times, read_checks, read_run
from partition_playbook.people import ASKED_BY, Answer, Question, last_answer, objection
from partition_playbook.run import Run
from partition_playbook.spec import Leave, Mode, RunParams, validated

Gate = Callable[[Session, Run], None]

# The sections in order, each with the task that records its last checks.
EVIDENCE = {
    "preflight": "preflight.check_preconditions",
    "data_preparation": "data_preparation.check_distribution",
    "snapshot": "snapshot.back_up",
    "migration": "migration.verify_online",
    "validation": "validation.validate",
    "pruning": "pruning.prove_pruning",
    "application": "application.probe",
    "lifecycle": "lifecycle.check_maintenance",
    "watch": "watch.observe",
    "rollback": "rollback.roll_back",
}
SECTIONS = tuple(EVIDENCE)
BY_HAND = "A task marked as success by hand passes no gate"
UNDO = "trigger partition_rollback"


@dataclass(frozen=True)
class Obstacle:
    """One missing fact, and the way to it."""

    problem: str
    remedy: str


@dataclass(frozen=True)
class Facts:
    """The facts of one run: its row, the answers of people, the verdict and the last check's time of each section."""

    run: Row
    verdicts: Mapping[str, Verdict]
    checked_at: Mapping[str, datetime]
    answers: Sequence[Answer]

    @property
    def params(self) -> RunParams:
        """Return the params of the run; those of an earlier version may have other names."""
        given = {name: value for name, value in self.run["params"].items() if name in RunParams.model_fields}
        return validated(RunParams, given | {"mode": self.run["mode"]}, where="ledger")

    @property
    def approvers(self) -> Sequence[str]:
        """Return the ids of the users allowed to answer, as in the spec of the run; empty for everybody."""
        return self.run["spec"].get("approvers") or ()

    @property
    def no_gos(self) -> list[str]:
        """Return the sections with a failed check of severity error."""
        return [section for section in SECTIONS if self.verdict(section).reasons]

    def verdict(self, section: str) -> Verdict:
        """Return the verdict of a section; one without checks is a no-go."""
        return self.verdicts.get(section) or Verdict.of(section, ())

    def last_check(self, sections: Iterable[str]) -> datetime | None:
        """Return the time of the last check of some sections; None without a check."""
        return max((self.checked_at[each] for each in sections if each in self.checked_at), default=None)

    def obstacles(self, sections: Iterable[str]) -> list[Obstacle]:
        """Return an obstacle for each section without a verdict of go, or with a waiver by no permitted person.

        The section data_preparation counts only in a run with synthetic rows.
        """
        needed = (each for each in sections if each != "data_preparation" or self.params.synthetic_rows)
        return [found for each in needed if (found := self._obstacle(each))]

    def _obstacle(self, section: str) -> Obstacle | None:
        verdict, task = self.verdict(section), EVIDENCE[section]
        again = f"Clear the task {task} with the tasks after it"
        if not verdict.checks:
            return Obstacle(f"section {section} has no verdict", again)
        if verdict.reasons:
            names = ", ".join(each.name for each in verdict.reasons)
            return Obstacle(f"section {section} is a no-go ({names})", f"Follow the remedies of these checks. {again}")
        if verdict.waivers and not self._has_waiver(section):
            return Obstacle(f"section {section} has a waiver by no permitted person", again)
        return None

    def _has_waiver(self, section: str) -> bool:
        given = last_answer((each for each in self.answers if each.section == section), Question.WAIVER)
        return not objection(given, self.approvers, since=None)

    def unanswered(self, question: Question, sections: Iterable[str], dag_run: str | None = None) -> list[Obstacle]:
        """Return an obstacle unless a permitted person said yes after the last check of these sections."""
        answer = last_answer(self.answers, question, dag_run)
        problem = objection(answer, self.approvers, self.last_check(sections))
        remedy = f"Clear the task {ASKED_BY[question]} to ask it again"
        return [Obstacle(f"question {question} {problem}", remedy)] if problem else []

    def staying(self) -> list[Obstacle]:
        """Return an obstacle if every no-go of a run in production may be waived, and no permitted person rolled back.

        In an earlier version the answer `Stop` rolled back.
        """
        if self.params.mode is not Mode.MIGRATE or any(not self.verdict(each).waivable for each in self.no_gos):
            return []
        for section in self.no_gos:
            answer = last_answer((each for each in self.answers if each.section == section), Question.WAIVER)
            if answer and not answer.agreed and not answer.stays and answer.is_permitted(self.approvers):
                return []
        remedy = f"Clear the task go_no_go_{{}} with the tasks after it, and answer there. Or {UNDO}"
        return [
            Obstacle(f"nobody chose to roll back after the no-go of {section}", remedy.format(section))
            for section in self.no_gos
        ]

    def undecided(self) -> list[Obstacle]:
        """Return an obstacle if a check was made again after the decision."""
        decided, checked = self.last_check(["decision"]), self.last_check(SECTIONS)
        remedy = "Clear the task decision.weigh with the tasks after it"
        is_stale = bool(decided and checked and decided < checked)
        return [Obstacle("checks were made again after the decision", remedy)] if is_stale else []

    def out_of_phase(self, *phases: Phase) -> list[Obstacle]:
        """Return an obstacle unless the run is in one of these phases."""
        phase = self.run["phase"]
        problem = f"the run is in phase {phase}, not {' or '.join(phases)}"
        return [] if phase in phases else [Obstacle(problem, f"To undo the run, {UNDO}")]


def require(run: Run, gate: Gate | None) -> None:
    """Ask a gate in a session of its own; None permits everything: a script or a test decides for itself."""
    if gate:
        with run.database.session() as session:
            gate(session, run)


def read_facts(session: Session, run: Run) -> Facts:
    """Read the facts of a run; GateClosed if it was never opened, or in mode plan."""
    run_id = run.ledger.run_id
    row = read_run(session, run_id)
    if row is None or row["mode"] == Mode.PLAN:
        problem = f"run {run_id} was not opened" if row is None else "mode plan changes nothing"
        raise GateClosed(str(run.table), "change anything", [problem], "Trigger a run with mode rehearse or migrate")
    verdicts = {section: Verdict.of(section, checks) for section, checks in read_checks(session, run_id).items()}
    return Facts(row, verdicts, read_check_times(session, run_id), read_answers(session, run_id))


def _require(run: Run, step: str, obstacles: Sequence[Obstacle]) -> None:
    if obstacles:
        remedy = f"{obstacles[0].remedy}. {BY_HAND}"
        raise GateClosed(str(run.table), step, [each.problem for each in obstacles], remedy)


# ---- The gates, in the order of a run. Each raises GateClosed.

BEFORE_SHADOW = SECTIONS[: SECTIONS.index("migration")]
BEFORE_CUTOVER = (*BEFORE_SHADOW, "migration")
BEFORE_ROLLBACK = SECTIONS[: SECTIONS.index("rollback")]


def before_rows(session: Session, run: Run) -> None:
    """Permit synthetic rows after a go of preflight."""
    _require(run, "generate rows", read_facts(session, run).obstacles(["preflight"]))


def before_shadow(session: Session, run: Run) -> None:
    """Permit the shadow and the capture after a go of every section before."""
    _require(run, "build the shadow", read_facts(session, run).obstacles(BEFORE_SHADOW))


def before_cutover(session: Session, run: Run) -> None:
    """Permit the first swap: every section before is a go, and a permitted person approved if people are asked."""
    facts = read_facts(session, run)
    obstacles = facts.obstacles(BEFORE_CUTOVER)
    if facts.params.asks_people:
        obstacles += facts.unanswered(Question.CUTOVER, BEFORE_CUTOVER)
    _require(run, "cut over", [*obstacles, *facts.out_of_phase(Phase.ATTACHED)])


def before_abandoning(session: Session, run: Run) -> None:
    """Permit to drop the shadow inside the run: the section migration is a no-go."""
    facts = read_facts(session, run)
    obstacles = facts.out_of_phase(Phase.SHADOWED, Phase.ATTACHED, Phase.ABANDONED)
    if not facts.verdict("migration").reasons:
        go = Obstacle(
            "section migration is a go, so the shadow stays",
            f"Clear the task migration.go_no_go_cutover with the tasks after it, or {UNDO} to drop the shadow",
        )
        obstacles += facts.obstacles(["migration"]) or [go]
    _require(run, "abandon the shadow", obstacles)


def before_rollback(session: Session, run: Run) -> None:
    """Permit to swap back inside the run: a section is a no-go, or a rehearsal has only sections with a go.

    In production a no-go that may be waived needs a person who chose to roll back: nobody's silence does.
    """
    facts = read_facts(session, run)
    obstacles = [*facts.out_of_phase(Phase.LIVE, Phase.ROLLED_BACK), *facts.staying()]
    if not facts.no_gos:
        obstacles += facts.obstacles(BEFORE_ROLLBACK)
        if facts.params.mode is Mode.MIGRATE:
            stays = "no section is a no-go, and a migration in production stays"
            decide = f"Clear the task go_no_go_watch with the tasks after it. To undo the migration, {UNDO}"
            obstacles.append(Obstacle(stays, decide))
    _require(run, "roll back", obstacles)


def returns(facts: Facts) -> bool:
    """Return True if the run cuts over again: a successful rehearsal with `leave: partitioned`."""
    wanted = facts.params.mode is Mode.REHEARSE and facts.params.leave is Leave.PARTITIONED
    return wanted and not facts.obstacles(SECTIONS)


def before_second_cutover(session: Session, run: Run) -> None:
    """Permit the second swap: every section is a go, `leave` says so, and a permitted person approved if asked."""
    facts = read_facts(session, run)
    obstacles = facts.obstacles(SECTIONS)
    if not obstacles and not returns(facts):
        branch = "Clear the task rollback.stay_or_return with the tasks after it"
        obstacles.append(Obstacle("the params of the run leave the original table", branch))
    if facts.params.asks_people:
        obstacles += facts.unanswered(Question.SECOND_CUTOVER, SECTIONS)
    _require(run, "cut over again", [*obstacles, *facts.out_of_phase(Phase.ROLLED_BACK)])


def before_restoring(session: Session, run: Run) -> None:
    """Permit to drop the shadow after the rollback: its checks are recorded, and the run does not cut over again."""
    facts = read_facts(session, run)
    obstacles = facts.out_of_phase(Phase.ROLLED_BACK, Phase.ABANDONED)
    if not facts.verdict("rollback").checks:
        obstacles += facts.obstacles(["rollback"])
    if returns(facts):
        again = f"Clear the task rollback.stay_or_return with the tasks after it, or {UNDO} to drop the shadow"
        obstacles.append(Obstacle("every section is a go, so the run cuts over again", again))
    _require(run, "drop the shadow", obstacles)


def before_verdict(session: Session, run: Run) -> None:
    """Permit to tell the verdict of the run: no check was made after its decision."""
    _require(run, "tell the verdict", read_facts(session, run).undecided())


def before_finalizing(session: Session, run: Run) -> None:
    """Permit to drop the retired table: the run is signed off, or a reason is recorded; an approver said yes if asked.

    Only an answer of the same DAG run counts.
    """
    facts = read_facts(session, run)
    lacking = shortfalls(facts)
    dag_run = run.ledger.origin.get("run_id", "")
    obstacles = facts.unanswered(Question.FINALIZE, facts.checked_at, dag_run) if facts.params.asks_people else []
    answer = last_answer(facts.answers, Question.FINALIZE, dag_run)
    if lacking and not (answer and answer.agreed and answer.reason):
        how = (
            f"Clear the task {ASKED_BY[Question.FINALIZE]}, and approve with a reason"
            if facts.params.asks_people
            else "Trigger partition_finalize again, with the reason in its param override_reason"
        )
        obstacles += [Obstacle(each, how) for each in lacking]
    _require(run, "drop the retired table", obstacles)


def shortfalls(facts: Facts) -> list[str]:
    """Return what the run lacks for a sign-off; empty if it was a go and, if people were asked, signed off."""
    expected = SECTIONS if facts.params.mode is Mode.REHEARSE or facts.verdict("rollback").checks else BEFORE_ROLLBACK
    found = [*facts.out_of_phase(Phase.LIVE), *facts.obstacles(expected), *facts.undecided()]
    recorded = facts.run["verdict"]
    if recorded != "go":
        found.append(Obstacle(f"the verdict of the run is {recorded}" if recorded else "the run has no verdict", ""))
    if facts.params.asks_people:
        found += facts.unanswered(Question.SIGN_OFF, SECTIONS)
    return [each.problem for each in found]
