"""The memory of one process: the catalog snapshot, the title index, the model and its updates."""
