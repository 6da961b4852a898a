"""Plan the migration of a table in the shell: preflight's checks and every statement, as mode ``plan`` shows them."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from partition_playbook.checks import as_json
from partition_playbook.errors import InvalidSpec
from partition_playbook.sections.preflight import after_cutover, key_steps, planning
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.shell.answer import Answer, Exit
from partition_playbook.shell.runs import look_at
from partition_playbook.spec import Mode, RunParams, load_spec, validated


def plan(name: str, given: Sequence[str]) -> Answer:
    """Return the plan of a spec; ``given`` are params as ``name=value``. A check that blocks is a no-go."""
    spec, params = load_spec(name), _params(name, given)
    run = look_at(spec)
    with run.database.session():
        pass  # preflight tells an unreachable server as one check of many; here it has an exit code
    checks = preflight_checks(run, params)
    refused = [each.name for each in checks if each.blocks]
    found = planning.planned(run, params, checks)
    lines = [*planning.lines(found, checks), *after_cutover.lines(checks), *key_steps.lines(checks)]

    verdict = f"NO-GO: {', '.join(refused)}" if refused else "GO"
    told = [*map(str, checks), *lines, f"{spec.name}: {verdict}"]
    content = {
        "spec": name,
        "table": str(spec.name),
        "go": not refused,
        "refused": refused,
        "checks": [as_json(each) for each in checks],
        "plan": lines,
    }
    return Answer(tuple(told), content, Exit.FINDINGS if refused else Exit.IN_ORDER)


def _params(name: str, given: Sequence[str]) -> RunParams:
    values: dict[str, object] = {}
    for each in given:
        key, separator, value = each.partition("=")
        if not separator:
            raise InvalidSpec(f"{each!r} has no value", where="--param", remedy=f"Write --param {each}=VALUE")
        values[key] = yaml.safe_load(value)
    fixed = {"table": name, "mode": Mode.PLAN}
    return validated(RunParams, values | fixed, where="--param")
