"""Backups: dump the data of a database to files while it serves, and restore them into an empty one."""
