"""The limits of the code: sizes of folders, files and functions, inner imports, and its language."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PACKAGES = ("app", "schema", "recommender", "seeds")
MAX_MODULES = 23  # in a folder
MAX_LINES = 300  # of a file
MAX_FUNCTION_LINES = 50  # with its signature and docstring
MAX_INNER_IMPORTS = 10
REASON = re.compile(r"# noqa: PLC0415 - \w")
QUESTION = re.compile(r"(What|How|Who|Whom|Whose|Where|When)\b")
NOT_PLAIN = re.compile(r"\b(?:told|foretold|learnt|whoever|by lot|the dearest)\b", re.IGNORECASE)


def sources(*packages: str) -> Iterator[tuple[str, str]]:
    """The place and text of each module."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def inner_imports(source: str) -> set[int]:
    """The numbers of the lines on which a function imports."""
    return {
        node.lineno
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }


def test_few_imports_are_within_functions_and_each_has_its_reason() -> None:
    found = {
        f"{place}:{line}": source.splitlines()[line - 1]
        for place, source in sources(*PACKAGES)
        for line in inner_imports(source)
    }
    assert len(found) <= MAX_INNER_IMPORTS, found
    assert [place for place, line in found.items() if not REASON.search(line)] == []


def test_folders_and_files_are_small() -> None:
    modules = Counter(Path(place).parent for place, _ in sources(*PACKAGES, "bench"))
    assert {str(folder): n for folder, n in modules.items() if n > MAX_MODULES} == {}
    lines = {place: len(source.splitlines()) for place, source in sources(*PACKAGES, "bench", "tests")}
    assert {place: n for place, n in lines.items() if n > MAX_LINES} == {}


def test_functions_are_short() -> None:
    lines = {
        f"{place}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for place, source in sources(*PACKAGES, "bench")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {place: n for place, n in lines.items() if n > MAX_FUNCTION_LINES} == {}


def test_docstrings_begin_with_a_noun_phrase_or_an_imperative() -> None:
    first_lines = {
        f"{place}:{getattr(node, 'lineno', 1)}": docstring.splitlines()[0]
        for place, source in sources(*PACKAGES, "bench")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node))
    }
    assert {place: line for place, line in first_lines.items() if QUESTION.match(line)} == {}


def test_the_language_is_plain() -> None:
    texts = dict(sources(*PACKAGES, "bench"))
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("app/web/static/**/*.js")]
    for path in (*pages, ROOT / "schema/schema.graphql", ROOT / "schema/guide.md"):
        texts[str(path.relative_to(ROOT))] = path.read_text()
    assert {place: found for place, text in texts.items() if (found := NOT_PLAIN.findall(text))} == {}


def test_a_class_name_has_one_meaning_in_a_package() -> None:
    """Within each package. A table has the name of its record."""
    for package in PACKAGES:
        modules = defaultdict(list)
        for place, source in sources(package):
            for node in ast.parse(source).body:
                if isinstance(node, ast.ClassDef) and not place.startswith("app/db/"):
                    modules[node.name].append(place)
        assert {name: places for name, places in modules.items() if len(places) > 1} == {}
