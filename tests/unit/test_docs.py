"""The documents: links lead somewhere, commands and paths exist, sentences are short, the README is brief."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from partition_playbook import gates
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.spec import RunParams, TableSpec

ROOT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
DOCUMENTS = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]
SPOKEN = [path for path in DOCUMENTS if path.name != "table-spec.md"]  # generated from the model's descriptions
CURRENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]  # which names what is gone
README_WORDS = 1_300
SENTENCE_WORDS = 25
OPENINGS = re.compile(r"(What|Who|Whoever|Whose|Where|Wherever|Whatever)\b")
PATHS = re.compile(r"`((?:plugins|include|dags|tests|docs|staging)/[^`\s:]*)[^`]*`")
MACHINE = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|mnt|Users)/")
SECTIONS = (*gates.SECTIONS, "decision")
FENCE = re.compile(r"^ *```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def read(path: Path) -> str:
    return path.read_text("utf-8")


def without_code(text: str) -> str:
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", text), flags=re.DOTALL)


def slugs(path: Path) -> set[str]:
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *$", without_code(read(path)), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", LINK.sub(r"\1", title).lower()).replace(" ", "-")
        count = 1
        while (unique := slug if count == 1 else f"{slug}-{count - 1}") in found:
            count += 1
        found.add(unique)
    return found


def targets(path: Path) -> Iterator[str]:
    text = without_code(read(path))
    yield from (target for _, target in LINK.findall(re.sub(r"(?<!`)`[^`]+`(?!`)(?!\])", "", text)))
    yield from (target for _, target in LINK.findall(text) if target.startswith("."))
    yield from re.findall(r'<(?:img|source)[^>]* src(?:set)?="([^"]+)"', text)


def plain(text: str) -> str:
    """Return text as it is read: a piece of code is one word, a link is its text."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<[^>]+>", "", text)
    text = re.sub(r"(`+).+?\1", "Code", text, flags=re.DOTALL)
    return re.sub(r"[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}", "", LINK.sub(r"\1", text))


def sentences(text: str) -> list[str]:
    found = re.split(r"(?<=[.!?])[\"')”]*\s+", " ".join(plain(text).split()))
    return [each.strip("\"'(“") for each in found if each.strip()]


def blocks(text: str) -> Iterator[str]:
    """Yield paragraphs and list items, without headings, tables and code."""
    lines = [line for line in without_code(text).splitlines() if not line.lstrip().startswith(("|", "#"))]
    opened = re.sub(r"^ *(?:[-*]|\d+\.) +", "\n\n", "\n".join(lines), flags=re.MULTILINE)
    yield from (each for each in re.split(r"\n\s*\n", opened) if each.strip())


def cells(text: str) -> Iterator[str]:
    for line in without_code(text).splitlines():
        if line.lstrip().startswith("|"):
            yield from re.split(r"(?<!\\)\|", line.strip().strip("|"))
        elif line.startswith("#"):
            yield line.lstrip("# ")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    broken = []
    for target in targets(path):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in slugs(found)):
            broken.append(target)
    assert broken == []


def test_the_readme_is_brief() -> None:
    assert len(read(ROOT / "README.md").split()) <= README_WORDS


@pytest.mark.parametrize("path", SPOKEN, ids=named)
def test_sentences_are_short(path: Path) -> None:
    spoken = (each for block in blocks(read(path)) for each in sentences(block))
    long = {each: count for each in spoken if (count := len(re.findall(r"\S*\w\S*", each))) > SENTENCE_WORDS}
    assert long == {}


@pytest.mark.parametrize("path", SPOKEN, ids=named)
def test_no_sentence_begins_with_what(path: Path) -> None:
    text = read(path)
    spoken = (each for block in [*blocks(text), *cells(text)] for each in sentences(block))
    assert [each for each in spoken if OPENINGS.match(each)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_make_target_exists(path: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    text = read(path)
    code = [*FENCE.findall(text), *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))]
    asked = re.findall(r"(?:^|&& )\s*make((?: +[A-Z]+=\S+)*) +([a-z-]+)", "\n".join(code), re.MULTILINE)
    assert {target for _, target in asked} - known == set()


@pytest.mark.parametrize("path", CURRENT, ids=named)
def test_every_path_exists(path: Path) -> None:
    missing = []
    for found in PATHS.findall(without_code(read(path))):
        for section in SECTIONS if "<section>" in found else ("",):
            pattern = re.sub(r"<\w+>", "*", found.replace("<section>", section)).rstrip("/")
            if not any(ROOT.glob(pattern)):
                missing.append(pattern)
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_no_machine_is_named(path: Path) -> None:
    assert MACHINE.findall(read(path)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_spec_is_valid(path: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", read(path), re.MULTILINE | re.DOTALL):
        TableSpec.model_validate({"table": "events", "partition_by": "happened_at"} | yaml.safe_load(block))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_run_can_be_triggered(path: Path) -> None:
    models = {"partition_migration": RunParams, "partition_maintenance": MaintenanceParams}
    for dag, conf in re.findall(r"^airflow dags \w+ (\w+) --conf '(.+)'$", read(path), re.MULTILINE):
        assert (ROOT / "dags" / f"{dag}.py").exists()
        given = json.loads(conf)
        plain = {"table", "confirm", "override_reason"}
        assert models[dag].model_validate(given) if dag in models else given.keys() <= plain


def test_every_environment_variable_is_read() -> None:
    named_in = {name for path in DOCUMENTS for name in re.findall(r"\bPARTITION_PLAYBOOK_\w+", read(path))}
    source = "\n".join(read(path) for room in ("plugins", "tests", "staging") for path in (ROOT / room).rglob("*.py"))
    assert {name for name in named_in if f'"{name}"' not in source} == set()


def test_the_sections_are_explained_in_order() -> None:
    titles = re.findall(r"^## (.+)$", read(ROOT / "docs" / "how-it-works.md"), re.MULTILINE)
    wanted = [section.replace("_", " ").capitalize() for section in SECTIONS]
    assert [title for title in titles if title in wanted] == wanted
