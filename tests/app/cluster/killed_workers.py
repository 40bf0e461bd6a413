"""A computation whose worker is killed once, in the middle of an iteration; workers import it by name."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from recommender.training import ials
from recommender.training.blocks import Block

CALLS = 20  # before the kill

solve_block = ials.solve_block  # the original, in a process that has replaced it


def killed_once(folder: Path, block: Block, *arguments: Any) -> Any:
    """Solve a block. The worker of the call after CALLS others ends without a word."""
    (folder / f"call-{uuid4().hex}").touch()
    if len(list(folder.glob("call-*"))) > CALLS:
        with suppress(FileExistsError), (folder / "killed").open("x") as file:
            file.write(str(os.getpid()))
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    return solve_block(block, *arguments)
