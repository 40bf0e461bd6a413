"""Types of operators: accounts and keys, the audit log, trainings, dead letters and served lists."""
