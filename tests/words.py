"""Read the texts of the project as people see them, and find poor ones: ``python -m tests.words`` prints them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "plugins" / "partition_playbook"
LONGEST = 200  # characters of a sentence
MOST_DIALECT = 3.0  # words of DIALECT in 100 words of docstrings
DIALECT = frozenset({"that", "what", "who", "whoever", "whom", "whose", "where", "which"})
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

OPENING = re.compile(r"(?:What|Who|Whom|Whose|Whoever|Whatever|Where|Wherever)\b(?!')", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')*`]*\s+|\n\s*\n|\n(?=\s*(?:[-*|#├│└]|\d+\.))")
SQL = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|REVOKE|LOCK|SET|WITH|WHERE|COPY|VACUUM|ANALYZE|COMMENT|"
    r"FOR VALUES|CONSTRAINT|ARRAY|EXPLAIN|CALL|BEGIN|TRUNCATE|REFRESH|ATTACH|DETACH|NOT VALID|PARTITION)\b"
)
# A number with a format of its own. Dates (%Y) and padded fields (04d, 9) are none.
NUMBER_FORMAT = re.compile(r"(?!%[A-Za-z])(?:.*,|.*\.\d+[eEfFgG%]|.*[fgG%]$)")
UNIT = r"(?:bytes?|[kKMGT]i?B|rows?(?:/s)?(?! security)|ms|s|seconds?|min|minutes?|hours?|days?)\b"
BY_HAND = re.compile(rf"\{{\}} (?:{UNIT})|\{{\}} ?%|%(?:\.\d+)?[dfgs] (?:{UNIT})|%\.\d+f|%d ?%%")
NOT_SHOWN = {"_order"}  # functions with a number as a sort key
WORD_LISTS = {"split", "_words"}  # calls with a string of words, not a sentence


@dataclass(frozen=True)
class Text:
    """One text with its place; placeholders are ``{}``."""

    place: str
    text: str

    @property
    def sentences(self) -> list[str]:
        """Return the sentences, list items and table rows, with single spaces."""
        return [
            flat
            for part in SENTENCE_END.split(self.text)
            if (flat := " ".join((part or "").split()).lstrip("-*|#├│└─> `\"'("))
        ]


def modules(root: Path = PACKAGE) -> list[Path]:
    """Return the Python files of a folder."""
    return sorted(root.rglob("*.py"))


def place(path: Path, line: int) -> str:
    """Return where a text stands."""
    return f"{path.relative_to(ROOT)}:{line}"


def docstrings(path: Path) -> Iterator[Text]:
    """Yield the docstrings of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield Text(place(path, node.body[0].lineno), text)


def strings(path: Path) -> Iterator[Text]:
    """Yield the texts of a file's code: every string of two words or more but docstrings and SQL."""
    tree = ast.parse(path.read_text())
    documentation = {
        id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and _documented(node)
    }
    for node in _outermost_strings(tree):
        text = _flat(node)
        if id(node) not in documentation and re.search(r"[A-Za-z}]\S* +\S*[A-Za-z{%]", text) and not SQL.match(text):
            yield Text(place(path, node.lineno), text)


def _documented(node: ast.AST) -> bool:
    first = node.body[0] if node.body else None  # type: ignore[attr-defined]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _outermost_strings(node: ast.AST) -> Iterator[ast.expr]:
    """Yield constants and f-strings, and strings inside an f-string's fields, but not the pieces of an f-string."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child
        elif isinstance(child, ast.JoinedStr):
            yield child
            for field in child.values:
                if isinstance(field, ast.FormattedValue):
                    yield from _outermost_strings(ast.Expression(field.value))
        elif not (isinstance(child, ast.Call) and ast.unparse(child.func).split(".")[-1] in WORD_LISTS):
            yield from _outermost_strings(child)


def _flat(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_flat(each) for each in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def formats(path: Path) -> Iterator[Text]:
    """Yield the number formats of a file's f-strings."""
    hidden = [node for node in ast.walk(ast.parse(path.read_text())) if getattr(node, "name", "") in NOT_SHOWN]
    lines = {line for node in hidden for line in range(node.lineno, node.end_lineno + 1)}  # type: ignore[attr-defined]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None and node.lineno not in lines:
            spec = _flat(node.format_spec)
            if NUMBER_FORMAT.fullmatch(spec):
                yield Text(place(path, node.lineno), f"{{{ast.unparse(node.value)}:{spec}}}")


def template_texts(path: Path) -> Iterator[Text]:
    """Yield the texts of a Jinja template: those between its tags, and the strings in them."""
    content = re.sub(
        r"<style>.*?</style>|\{#.*?#\}", lambda match: "\n" * match[0].count("\n"), path.read_text(), flags=re.S
    )
    for number, line in enumerate(content.split("\n"), 1):
        code = re.findall(r"\{[%{].*?[%}]\}", line)
        quoted = (found for tag in code for found in re.findall(r'"([^"]*)"', tag))
        shown = re.sub(r"\{%.*?%\}", "\n\n", re.sub(r"\{\{.*?\}\}", "{}", line))
        for text in (*re.split(r"<[^>]*>|\n", shown), *quoted, *(re.findall(r'"([^"]*)"', line) if not code else ())):
            if len(text.split()) > 1:
                yield Text(place(path, number), text)


def template_formats(path: Path) -> Iterator[Text]:
    """Yield the number formats of a Jinja template."""
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for found in re.findall(r'"[^"]*(?:%\.?\d*[dfg]|\{:[^}]*\})[^"]*"\s*(?:\||\.format)', line):
            yield Text(place(path, number), found)


def script_texts(path: Path) -> Iterator[Text]:
    """Yield the strings of a JavaScript file with two words or more."""
    content = re.sub(r"^[ \t]*//.*$", "", path.read_text(), flags=re.MULTILINE)
    for start, text in _literals(content):
        if re.search(r"\S +[A-Za-z%]", text):
            yield Text(place(path, content[:start].count("\n") + 1), text)


def _literals(content: str) -> Iterator[tuple[int, str]]:
    """Yield the string and template literals of a script with their offsets, also those inside a template's fields."""
    for match in re.finditer(r'"((?:[^"\\\n]|\\.)*)"', content):
        yield match.start(), match[1]
    open_templates: list[tuple[int, list[str]]] = []
    depths = [0]
    for offset, character in enumerate(content):
        inside = len(open_templates) == len(depths)
        if character == "`" and inside:
            start, parts = open_templates.pop()
            yield start, "".join(parts)
        elif character == "`":
            open_templates.append((offset, []))
        elif inside and content[offset - 1 : offset + 1] == "${":
            open_templates[-1][1][-1:] = ["{}"]
            depths.append(1)
        elif inside:
            open_templates[-1][1].append(character)
        elif character in "{}" and len(depths) > 1:
            depths[-1] += 1 if character == "{" else -1
            if not depths[-1]:
                depths.pop()


def templates() -> list[Path]:
    """Return the Jinja templates."""
    return sorted((ROOT / "include").glob("*.j2"))


def scripts() -> list[Path]:
    """Return the console's scripts."""
    return sorted((PACKAGE / "console" / "static").glob("*.js"))


def dags() -> list[Path]:
    """Return the DAG files; their docstrings are pages in Airflow's UI."""
    return modules(ROOT / "dags")


# ---- Guards


def long_sentences(texts: Iterable[Text]) -> list[str]:
    """Return the sentences of more than LONGEST characters."""
    return [f"{each.place} {len(found)}: {found}" for each in texts for found in each.sentences if len(found) > LONGEST]


def questions(texts: Iterable[Text]) -> list[str]:
    """Return the sentences with What, Who, Where … as their first word."""
    return [f"{each.place}: {found}" for each in texts for found in each.sentences if OPENING.match(found)]


def by_hand(texts: Iterable[Text]) -> list[str]:
    """Return the texts with a placeholder before a unit of bytes, rows or time, or before a percent sign."""
    return [f"{each.place}: {' '.join(each.text.split())}" for each in texts if BY_HAND.search(each.text)]


def each_of(read: Callable[[Path], Iterator[Text]], paths: Iterable[Path]) -> list[Text]:
    """Return the texts of files."""
    return [text for path in paths for text in read(path)]


def count_words(texts: Iterable[Text]) -> tuple[int, int]:
    """Return the words of DIALECT and all words."""
    words = [word.lower() for each in texts for word in re.findall(r"[A-Za-z]+(?:'[a-z]+)?", each.text)]
    return sum(word.split("'")[0] in DIALECT for word in words), len(words)


def dialect(paths: Iterable[Path]) -> float:
    """Return the words of DIALECT in 100 words of docstrings."""
    found, total = count_words(each_of(docstrings, paths))
    return 100 * found / max(total, 1)


def code_findings(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return what is wrong with the texts of Python files, by guard."""
    paths = list(paths)
    shown = [path for path in paths if path.name != "figures.py"]
    texts, documentation = each_of(strings, paths), each_of(docstrings, paths)
    return {
        "long sentences": long_sentences(texts),
        "long sentences in docstrings": long_sentences(documentation),
        "questions": questions(texts),
        "questions in docstrings": questions(documentation),
        "units by hand": by_hand(each_of(strings, shown)),
        "formats by hand": [f"{each.place}: {each.text}" for each in each_of(formats, shown)],
    }


def page_findings() -> dict[str, list[str]]:
    """Return what is wrong with the templates, the console's scripts and the pages of the DAGs, by guard."""
    reports, console, pages = (
        each_of(template_texts, templates()),
        each_of(script_texts, scripts()),
        each_of(docstrings, dags()),
    )
    by_formats = [f"{each.place}: {each.text}" for each in each_of(template_formats, templates())]
    return {
        "long sentences in templates": long_sentences(reports),
        "questions in templates": questions(reports),
        "numbers by hand in templates": by_hand(reports) + by_formats,
        "long sentences in the console": long_sentences(console),
        "questions in the console": questions(console),
        "numbers by hand in the console": by_hand(
            each_of(script_texts, [path for path in scripts() if path.name != "dom.js"])
        ),
        "long sentences of DAGs": long_sentences(pages + each_of(strings, dags())),
        "questions of DAGs": questions(pages + each_of(strings, dags())),
    }


def main() -> None:
    """Print all findings, then the figure of each folder."""
    findings: Mapping[str, list[str]] = code_findings(modules()) | page_findings()
    for guard, found in findings.items():
        print(f"\n{guard}: {len(found)}")
        print("\n".join(f"  {each}" for each in found))
    print(f"\nof {', '.join(sorted(DIALECT))} in 100 words of docstrings:")
    for folder in sorted({path.parent for path in modules()}):
        paths = [path for path in modules() if path.parent == folder]
        print(f"  {dialect(paths):5.2f} {folder.relative_to(PACKAGE.parent)}")
    print(f"  {dialect(modules()):5.2f} of all; {MOST_DIALECT:g} is the most")


if __name__ == "__main__":
    main()
