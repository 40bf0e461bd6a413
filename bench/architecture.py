"""Draw the packages and the imports between them into docs/architecture.md, or check that drawing.

    python -m bench.architecture [--check]

An arrow points from a package to one that it imports. The picture is the transitive reduction: an arrow that
follows from others is left out.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- picture: python -m bench.architecture -->", "<!-- end of the picture -->"
PACKAGES = ("app", "schema", "recommender", "seeds")
# Every package imports them.
GROUND = {"app.console", "app.settings", "app.telemetry"}


def package_of(module: str) -> str | None:
    """The package of a module: two names under `app`, one elsewhere. None for GROUND and `app` itself."""
    package = ".".join(module.split(".")[:2])
    if package in GROUND or package == "app":
        return None
    if package.startswith("app."):
        return package
    return module.split(".", maxsplit=1)[0]


def arrows() -> set[tuple[str, str]]:
    graph = grimp.build_graph(*PACKAGES)
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = package_of(module), package_of(imported)
            if pair[0] and pair[1] and pair[0] != pair[1]:
                found.add((pair[0], pair[1]))
    return found


def reduced(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The transitive reduction of a graph without cycles."""

    def reaches(start: str, goal: str, without: tuple[str, str]) -> bool:
        return any(
            stop == goal or reaches(stop, goal, without)
            for begin, stop in found
            if begin == start and (begin, stop) != without
        )

    return {arrow for arrow in found if not reaches(*arrow, arrow)}


def picture() -> str:
    def lines() -> Iterator[str]:
        yield "```mermaid"
        yield "flowchart TD"
        for importer, imported in sorted(reduced(arrows())):
            yield f"    {importer} --> {imported}"
        yield "```"

    return "\n".join(lines())


def page_with(text: str) -> str:
    """The page with the current picture between its markers."""
    before, rest = text.split(BEGIN, maxsplit=1)
    after = rest.split(END, maxsplit=1)[1]
    return f"{before}{BEGIN}\n{picture()}\n{END}{after}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check that the page matches the code")
    check = parser.parse_args().check
    updated = page_with(PAGE.read_text())
    if check and updated != PAGE.read_text():
        sys.exit(f"{PAGE.name} does not match the code: run `python -m bench.architecture`.")
    PAGE.write_text(updated)
