"""Movies of other systems: look them up, upsert and delete many at once."""
