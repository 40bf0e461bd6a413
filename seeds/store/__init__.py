"""Writing data sets to Postgres."""
