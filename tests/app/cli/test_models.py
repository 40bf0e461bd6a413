"""What `marquee models` prints."""

import pytest

from app.cli import models
from app.db.training_tables import ShadowRun


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0123, "0.31 ms"), (0.2, "5 ms"), (1.1, "28 ms"), (9.1, "228 ms"), (50, "1,250 ms")],
)
def test_the_times_of_a_run_in_shadow_mode_have_no_exponent(seconds: float, shown: str) -> None:
    sums = {"agreement": 20.0, "active_seconds": 0.8, "candidate_seconds": seconds}
    run = ShadowRun(status="RUNNING", lists=40, failed=0, dropped=3, **sums)
    assert models.shadow_cell(run) == f"running: 40 lists, agree 50%, {shown}, not 20 ms, 3 dropped"
