"""What one process holds in memory: the catalog snapshot, the title index, the model and its updates."""
