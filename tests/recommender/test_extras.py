"""The packages of extras are installed by their own names, never by ours, which is another project's."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from recommender.extras import install_command, packages_of

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", [extra for extra in EXTRAS if extra != "dev"])
def test_the_command_names_the_packages(extra: str) -> None:
    assert sorted(packages_of(extra)) == sorted(EXTRAS[extra])
    assert "marquee" not in install_command(extra)


def test_an_extra_that_is_unknown_has_the_command_of_the_checkout() -> None:
    assert packages_of("unknown") == []
    assert "--editable '.[unknown]'" in install_command("unknown")


def test_no_message_and_no_page_installs_a_project_of_our_name() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    names = [name for name in listed.stdout.split() if name.endswith((".py", ".md", ".yml", "Makefile"))]
    installing = re.compile(r"pip install (--\S+ )*['\"]?marquee\b")
    found = [
        name
        for name in names
        if (ROOT / name).exists() and installing.search((ROOT / name).read_text(errors="replace"))
    ]
    assert found == []
