"""Write data sets to Postgres."""
