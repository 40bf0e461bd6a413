"""End a process when the process that started it has ended, however that ended."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # of prctl(2)


def die_with_parent() -> Callable[[], None] | None:
    """The function that a child calls before its program, as `preexec_fn` of Popen; None on other systems.

    On Linux the kernel then sends SIGTERM to the child when the thread that started it has ended, so call
    Popen in the main thread. A kill cannot be caught, so no parent can do this itself.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it has ended before the call
            os.kill(os.getpid(), signal.SIGTERM)

    return ask
