"""Load of all kinds for a long time, against real processes: latencies, errors, memory and lag."""
