"""Extras: packages that some functions need and that are not installed with the program."""

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires

PACKAGE = "marquee"


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra.

    It names these packages. Our name with the extra in brackets would install the project of that name on the
    index, which is another one.
    """
    packages = packages_of(extra)
    if not packages:  # not installed, only on the path
        return f"python -m pip install --editable '.[{extra}]', in the checkout"
    return f"python -m pip install {' '.join(map(shlex.quote, packages))}"


def packages_of(extra: str) -> list[str]:
    """The requirements of an extra, such as `optuna>=4.5`."""
    try:
        found = requires(PACKAGE) or []
    except PackageNotFoundError:
        return []
    marker = re.compile(rf"""\s*;\s*extra == ['"]{re.escape(extra)}['"]$""")
    return [marker.sub("", requirement) for requirement in found if marker.search(requirement)]
