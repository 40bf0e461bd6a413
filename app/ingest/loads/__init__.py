"""Bulk loads of other systems' ratings and events from files: csv, JSON lines and Parquet."""
