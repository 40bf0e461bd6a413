"""Progress reports of long work, such as a training."""

from collections.abc import Callable

Progress = Callable[[str, float], None]  # a stage, and the completed fraction of it
