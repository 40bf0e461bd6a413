"""The taste of the demo account: ratings, favorite genres, a watchlist and movies half watched.

Movies are named by title and year, as in the bundled catalog; another catalog has those that it knows.
"""

import psycopg

GENRES = ("Sci-Fi", "Mystery", "Animation", "Adventure", "Thriller")
RATINGS = (
    ("Blade Runner", 1982, 5.0), ("Alien", 1979, 5.0), ("2001: A Space Odyssey", 1968, 5.0),
    ("Arrival", 2016, 5.0), ("Spirited Away", 2001, 5.0), ("The Matrix", 1999, 4.5),
    ("Children of Men", 2006, 4.5), ("Princess Mononoke", 1997, 4.5), ("Memento", 2000, 4.5),
    ("The Thing", 1982, 4.5), ("Eternal Sunshine of the Spotless Mind", 2004, 4.5),
    ("Vertigo", 1958, 4.5), ("My Neighbor Totoro", 1988, 4.0), ("Terminator 2: Judgment Day", 1991, 4.0),
    ("Inception", 2010, 4.0), ("The Truman Show", 1998, 4.0), ("Mad Max: Fury Road", 2015, 4.0),
    ("Zodiac", 2007, 4.0), ("Back to the Future", 1985, 4.0), ("WALL·E", 2008, 4.0),
    ("Jurassic Park", 1993, 3.5), ("The Prestige", 2006, 3.5), ("Se7en", 1995, 3.5),
    ("The Grand Budapest Hotel", 2014, 3.5), ("Gravity", 2013, 3.0), ("Avatar", 2009, 2.5),
    ("Independence Day", 1996, 2.0), ("Gone with the Wind", 1939, 2.0), ("Grease", 1978, 1.5),
    ("Pretty Woman", 1990, 1.5),
)  # fmt: skip
WATCHLIST = (
    ("Metropolis", 1927), ("Everything Everywhere All at Once", 2022), ("Howl's Moving Castle", 2004),
    ("Mulholland Drive", 2001), ("Her", 2013), ("Rear Window", 1954), ("Knives Out", 2019),
    ("Spider-Man: Into the Spider-Verse", 2018),
)  # fmt: skip
WATCHED = (("Interstellar", 2014, 0.45), ("Chinatown", 1974, 0.2))  # with the fraction that was watched
DAYS = 6  # between two ratings

LIKES = """
INSERT INTO favorite_genres (user_id, genre_id, position)
SELECT %(user)s, genres.id, place
FROM unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, place) JOIN genres USING (name)
ON CONFLICT DO NOTHING
"""
RATES = """
INSERT INTO ratings (user_id, movie_id, half_stars, rated_at)
SELECT %(user)s, movies.id, half_stars, now() - %(days)s * place * interval '1 day'
FROM unnest(%(titles)s::text[], %(years)s::smallint[], %(half_stars)s::smallint[]) WITH ORDINALITY
    AS rated (title, year, half_stars, place)
JOIN movies USING (title, year)
ON CONFLICT DO NOTHING
"""
SEES = """
INSERT INTO feedback (user_id, movie_id, kind, watched_fraction, occurred_at)
SELECT %(user)s, movies.id, kind, watched_fraction, now() - place * interval '1 day'
FROM unnest(%(titles)s::text[], %(years)s::smallint[], %(fractions)s::real[]) WITH ORDINALITY
    AS seen (title, year, watched_fraction, place)
CROSS JOIN LATERAL (SELECT CASE WHEN watched_fraction IS NULL THEN 'WATCHLIST' ELSE 'WATCH' END) AS it (kind)
JOIN movies USING (title, year)
"""


def give_taste(connection: psycopg.Connection, user_id: int) -> None:
    """Store the taste for an account that has none yet."""
    movies = [(title, year, round(2 * stars)) for title, year, stars in RATINGS]
    seen = [(title, year, None) for title, year in WATCHLIST] + list(WATCHED)
    connection.execute(LIKES, {"user": user_id, "names": list(GENRES)})
    titles, years, half_stars = map(list, zip(*movies, strict=True))
    rated = {"titles": titles, "years": years, "half_stars": half_stars}
    connection.execute(RATES, {"user": user_id, "days": DAYS, **rated})
    titles, years, fractions = map(list, zip(*seen, strict=True))
    connection.execute(SEES, {"user": user_id, "titles": titles, "years": years, "fractions": fractions})
