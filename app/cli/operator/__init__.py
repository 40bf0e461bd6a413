"""Commands of operators: migrate, settings, dump and restore."""
