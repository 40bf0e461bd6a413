"""Batches of movies: upsert and delete many at once, from the API and from files."""
