"""Postgres: engine, tables, notifications, migrations and the embedded server."""
