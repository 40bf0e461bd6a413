"""The titles of a movie besides its title and original title."""

# A column of a statement that reads `movies`: a list without repeats, sorted.
ALTERNATIVE_TITLES = """
    ARRAY(SELECT DISTINCT named.title COLLATE "C" FROM (
              SELECT movie_titles.title FROM movie_titles WHERE movie_id = movies.id
              UNION ALL SELECT value FROM jsonb_each_text(localized_titles)) AS named
          WHERE named.title <> movies.title AND named.title IS DISTINCT FROM movies.original_title ORDER BY 1)
"""
