"""Attributes of movies as content features: those that the setting names, from a training on."""

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from app.db.movie_features import MOVIES, movies_of, names_of
from app.training import data
from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.content import ContentEncoder, vectors_of


def test_values_that_can_be_features() -> None:
    attributes = {
        "mood": ["dark", "slow"],
        "hd": True,
        "size": 3,
        "text": "x" * 101,
        "deep": {"a": 1},
        "no": None,
    }
    assert names_of(attributes) == ("hd=True", "mood=dark", "mood=slow", "size=3")


def test_a_training_takes_the_attributes_that_the_setting_names(database_url: str) -> None:
    rng = np.random.default_rng(3)
    with psycopg.connect(database_url) as connection:
        for number in range(60):  # alike but for their studio
            attributes = {"studio": "ABC"[number % 3], "shelf": "XY"[number % 2]}
            connection.execute(
                "INSERT INTO movies (title, keywords, attributes) VALUES (%s, %s, %s)",
                (f"Movie {number}", [f"k{key}" for key in rng.integers(0, 5, 3)], Jsonb(attributes)),
            )
        without, of_studio = (data.read_movies(connection, names) for names in ("", "studio, nothing"))
        everything = movies_of(connection.execute(f"{MOVIES} ORDER BY id".encode()).fetchall())
    assert set(without.attributes) == {()}
    assert of_studio.attributes[:3] == [("studio=A",), ("studio=B",), ("studio=C",)]
    ratings = Interactions.from_arrays(
        np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64),
        catalog=without.item_ids,
    )  # fmt: skip
    assert data.checksum_of(without, ratings) != data.checksum_of(of_studio, ratings)
    encoder = ContentEncoder.fit(of_studio, rng=np.random.default_rng(1))
    vectors = vectors_of(encoder.transform(everything))
    assert np.array_equal(vectors, vectors_of(encoder.transform(of_studio)))  # the model chooses its own
    likeness = vectors @ vectors.T
    same = np.arange(60)[:, None] % 3 == np.arange(60) % 3
    plain = ContentEncoder.fit(without, rng=np.random.default_rng(1))
    before = vectors_of(plain.transform(everything))
    gained = likeness - before @ before.T
    assert gained[same].mean() > gained[~same].mean() + 0.1


def test_features_stored_before_there_were_attributes_can_be_read() -> None:
    columns = ItemFeatures.blank(np.arange(2))
    assert columns.attributes == [(), ()]
