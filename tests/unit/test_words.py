"""Guards over every text that people read; ``python -m tests.words`` prints the findings in full."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests import words

GUARDS = [*words.code_findings([]), *words.page_findings()]


@cache
def findings() -> dict[str, list[str]]:
    """Read the package once, in the process that runs the tests: each one collects them."""
    return words.code_findings(words.modules()) | words.page_findings()


@pytest.mark.parametrize("guard", GUARDS)
def test_no_text_breaks_a_guard(guard: str) -> None:
    found = findings()[guard]
    assert found == [], "\n".join(found)


def test_no_docstring_beside_the_package_begins_with_a_question() -> None:
    paths = [*words.modules(words.ROOT / "tests"), *words.modules(words.ROOT / "staging")]
    assert len(paths) > 100
    assert words.questions(words.each_of(words.docstrings, paths)) == []


def test_the_docstrings_are_plain() -> None:
    assert words.dialect(words.modules()) < words.MOST_DIALECT


@pytest.mark.parametrize(
    ("code", "guard"),
    [
        ('check("a", expected="What the spec says")', "questions"),
        ('log.info("Done. Where it is, nobody knows")', "questions"),
        ('yield f"{name} is gone. Whoever {did} it"', "questions"),
        ('def f():\n    """What it does."""', "questions in docstrings"),
        (f'raise InvalidSpec("{"word " * 41}")', "long sentences"),
        ('text = "a" if x else f"{n} rows"', "units by hand"),
        ('text = f"{n:.1f} ms"', "formats by hand"),
        ('text = f"{n:.1f} ms"', "units by hand"),
        ('text = f"{share:.0%}"', "formats by hand"),
        ('text = f"{n:,} of them"', "formats by hand"),
        ('text = f"{n / 1e6:.0f} MB"', "units by hand"),
        ('log.info("%d rows in %.1f s", n, seconds)', "units by hand"),
        ('text = f"{100 * share} %"', "units by hand"),
        ("text = f\"{f'{b} bytes'}\"", "units by hand"),
    ],
)
def test_the_guards_find_what_they_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, guard: str
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(code)
    assert words.code_findings([path])[guard]


@pytest.mark.parametrize(
    "code",
    [
        '''sql = "WHERE a = b"''',
        '''text = f"{moment:%Y-%m-%d %H:%M}"''',
        '''name = f"y{year:04d}w{week:02d}"''',
        '''text = f"{figures.count(n, 'row')} moved"''',
        """CLAUSES = frozenset("where group having".split())""",
        '''expected = "no row from another place, whatever its age"''',
        '''text = f"Nothing. {name:9} is there"''',
        '''def f():\n    """Return the rows with a value."""''',
    ],
)
def test_the_guards_leave_plain_texts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(code)
    assert {guard: found for guard, found in words.code_findings([path]).items() if found} == {}


def test_templates_and_scripts_are_read_as_people_see_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    template, script = tmp_path / "page.j2", tmp_path / "page.js"
    template.write_text("<h2>What it took</h2>\n{{ '%.1f' }} {{ rows }} rows{# Where not #}\n")
    script.write_text('// What is not shown\nf(`${g(`${n} rows`)}, ${n} %`, "Who did it");\n')
    assert words.questions(words.template_texts(template)) == ["page.j2:1: What it took"]
    assert words.by_hand(words.template_texts(template)) == ["page.j2:2: {} {} rows"]
    assert words.questions(words.script_texts(script)) == ["page.js:2: Who did it"]
    assert sorted(words.by_hand(words.script_texts(script))) == ["page.js:2: {} rows", "page.js:2: {}, {} %"]


def test_the_words_are_counted() -> None:
    texts = [
        words.Text("a:1", "Return what it takes; the one that waits."),
        words.Text("a:2", "Which isn't what's here."),
    ]
    assert words.count_words(texts) == (4, 12)
