"""Types of fields of movies and people that contain movies: lists of movies, facets, the viewer's state."""
