"""Any text in a spec or a trigger form gives a valid model, or InvalidSpec that names the key and the fix."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from partition_playbook.errors import InvalidSpec
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.spec import TABLES_VARIABLE, RunParams, TableSpec, load_spec, validated

HEAD = "table: t\npartition_by: at\n"
SECRET = "geheim"
BOMB = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))])

odd = st.sampled_from(
    [
        *("", "null", "~", ".nan", ".inf", "-.inf", "1e400", "0x" + "f" * 9000, "9" * 9000, "2001-99-99", "12:61:99"),
        *("24 months", "99999 years", "month", "UTC", "../../etc/passwd", "s3://k:p@b", "//u:p@h", "{table}", "%s"),
        *("!!bool x", "!!timestamp x", "!!binary ü", "!!python/name:os.system", "*x", "&x", '"\\0"', '"\\ud800"'),
        *("2026-01-01T00:00:00+99:99", "P1Y", "dump", "external", "migrate", "[[[[", "? ?", "- -", "<<: 1", "|", "'"),
    ]
)
FIELDS = {name for model in (TableSpec, RunParams, MaintenanceParams) for name in model.model_fields}
INNER = {"keep", "hold", "since", "until", "reason", "probes", "sql", "name", "max_seconds", "endpoints", "values"}
keys = st.sampled_from(sorted(FIELDS | INNER))
leaves = odd | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates()
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | odd, inner, max_size=4), max_leaves=12
)
given_keys = st.dictionaries(keys, trees, max_size=5)


@pytest.fixture
def spec_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    return tmp_path / "given.yaml"


def refusal(spec_file: Path, content: str | bytes) -> str:
    """Return how a spec is refused, in full; nothing where it is taken."""
    spec_file.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
    try:
        load_spec("given")
    except InvalidSpec as error:
        refused = error
    else:
        return ""
    assert refused.where == str(spec_file)
    assert refused.problem
    assert refused.remedy
    return str(refused)


@given(content=given_keys)
def test_any_tree_is_a_spec_or_is_refused(spec_file: Path, content: dict[str, Any]) -> None:
    refusal(spec_file, yaml.safe_dump({"table": "t", "partition_by": "at"} | content, allow_unicode=True))


@given(lines=st.lists(st.builds("{}{}: {}".format, st.sampled_from(["", " ", "- "]), keys, odd | st.text(max_size=9))))
def test_any_text_is_a_spec_or_is_refused(spec_file: Path, lines: list[str]) -> None:
    refusal(spec_file, HEAD + "\n".join(lines))


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_spec_or_are_refused(spec_file: Path, content: bytes) -> None:
    assert refusal(spec_file, content)


@pytest.mark.parametrize("model", [RunParams, MaintenanceParams, TableSpec])
@given(data=st.data())
def test_any_params_are_valid_or_are_refused(model: type[BaseModel], data: st.DataObject) -> None:
    content = data.draw(trees | st.dictionaries(st.sampled_from(sorted(model.model_fields)), trees, max_size=6))
    with suppress(InvalidSpec):
        validated(model, content, where="params")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (HEAD + BOMB, "alias"),
        (HEAD + "a: &a [*a]", "alias"),
        (HEAD + "premake: 1\npremake: 2", "'premake' is given twice"),
        (HEAD + "retention: {keep: 1 day, keep: 2 days}", "'keep' is given twice"),
        (HEAD + "queries: [{name: a, sql: 'SELECT ''\0'''}]", "not YAML"),
        (HEAD + 'distinct: ["a\\0b"]', "x00"),
        (HEAD + 'distinct: ["\\ud800"]', "ud800"),
        (HEAD + "retention: 99999 years", "'retention.keep'"),
        (HEAD + "retention: {keep: 1 day, grace: 99999999999999999999 days}", "'retention.grace'"),
        (HEAD + "application: {probes: [{name: a, sql: x, max_seconds: .inf}]}", "max_seconds"),
        (HEAD + "application: {probes: [{name: a, sql: x}, {name: a, sql: y}]}", "same name"),
        (HEAD + "premake: 0x" + "f" * 9000, "'premake'"),
        ("[" * 20_000, "not YAML"),
        (HEAD.encode("utf-16"), "not YAML"),
        ("ü".encode("latin-1"), "not YAML"),
    ],
    ids=range(15),
)
def test_what_hides_or_multiplies_is_refused_by_name(spec_file: Path, content: str | bytes, named: str) -> None:
    told = refusal(spec_file, content)
    assert named in told
    assert len(told) < 1_000


@pytest.mark.parametrize(
    "content",
    [
        f"application: {{base_url: 'https://app:{SECRET}@example.org/api'}}",
        f"monitoring: {{endpoints: {{grafana: 'https://app:{SECRET}@example.org/api'}}}}",
        f"retention: {{keep: 1 day, action: archive, archive_to: 's3://key:{SECRET}@bucket/path'}}",
        f"connection: postgresql://app:{SECRET}@example.org/app",
        f"connection: postgresql://app:{'x' * 70}{SECRET}@example.org/app",
        f"application: {{base_url: 'https://app:{SECRET}@example.org/api', http_probes: 3}}",
    ],
)
def test_a_password_is_refused_and_not_repeated(spec_file: Path, content: str) -> None:
    spec_file.write_text(HEAD + content)
    with pytest.raises(InvalidSpec) as raised:
        load_spec("given")
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__} {raised.value.__context__}"


@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_read(spec_file: Path) -> None:
    os.mkfifo(spec_file)
    with pytest.raises(InvalidSpec, match="not a file"):
        load_spec("given")
    spec_file.unlink()
    spec_file.mkdir()
    with pytest.raises(InvalidSpec, match="not a file"):
        load_spec("given")
    spec_file.rmdir()
    spec_file.symlink_to(spec_file.with_name("nowhere.yaml"))
    with pytest.raises(InvalidSpec, match="not a file"):
        load_spec("given")
    spec_file.unlink()
    (spec_file.parent / "elsewhere").write_text(HEAD)
    spec_file.symlink_to("elsewhere")  # as Kubernetes mounts its ConfigMaps
    assert load_spec("given").table == "t"
