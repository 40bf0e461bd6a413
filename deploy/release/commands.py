"""Commands of a release: shown first, and only shown in a dry run."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class ReleaseFailed(Exception):
    """A step of the release failed. The message gives the operator the reason."""


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands. `strict`: a tool that is not installed ends the release instead of its step."""

    dry_run: bool = False
    strict: bool = False

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def run(self, command: Sequence[str] | str, **environment: str) -> None:
        """Run a command, or a line of the shell. Raises ReleaseFailed."""
        self._done(command, None, environment)

    def read(self, command: Sequence[str], otherwise: str = "") -> str:
        """The output of a command; `otherwise` in a dry run. Raises ReleaseFailed."""
        done = self._done(command, subprocess.PIPE, {})
        return otherwise if done is None else done.strip()

    def _done(
        self, command: Sequence[str] | str, output: int | None, environment: Mapping[str, str]
    ) -> str | None:
        shown = command if isinstance(command, str) else shlex.join(command)
        given = "".join(f"{name}={shlex.quote(value)} " for name, value in environment.items())
        self.say(f"$ {given}{shown}")
        if self.dry_run:
            return None
        done = subprocess.run(  # noqa: S603 - the operator's commands
            command,
            shell=isinstance(command, str),
            env={**os.environ, **environment},
            stdout=output,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ReleaseFailed(f"`{shown}` ended with status {done.returncode}.")
        return done.stdout or ""

    def has(self, tool: str, purpose: str) -> bool:
        """Whether a tool is installed; say so if the step is skipped. Raises ReleaseFailed if `strict`."""
        if shutil.which(tool):
            return True
        if self.strict and not self.dry_run:
            raise ReleaseFailed(f"{tool} is not installed; without --strict the step is skipped: {purpose}.")
        self.say(f"skipped: {purpose}: {tool} is not installed")
        return False
