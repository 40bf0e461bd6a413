"""`marquee recommend` and `predict`: files in, files out, no database."""

from pathlib import Path

import numpy as np
import pytest

from tests.app.offline.conftest import marquee, rows, succeed


def test_lists_are_full_ordered_unseen_and_personal(model: Path, histories: Path, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n1001\n2001\n2002\n")
    out = tmp_path / "lists.csv"
    result = succeed(
        "recommend", "--model", model, "--histories", histories, "--users", tmp_path / "users.csv",
        "--k", 12, "--out", out,
    )  # fmt: skip
    assert "1 ratings in the histories are of movies that are not in the model" in result.output
    lists = rows(out)
    of = {user: [row for row in lists if row["user_id"] == user] for user in (1001, 1002, 1003, 2001, 2002)}
    assert len(lists) == 5 * 12
    for one in of.values():
        assert [row["rank"] for row in one] == list(range(1, 13))
        assert [row["score"] for row in one] == sorted((row["score"] for row in one), reverse=True)
        assert len({row["movie_id"] for row in one}) == 12
        assert all(0 <= row["match_percent"] <= 100 and 0.5 <= row["predicted_stars"] <= 5 for row in one)
    assert not {row["movie_id"] for row in of[1001]} & {*range(1, 17, 2), 2}
    assert sum(row["movie_id"] % 2 for row in of[1001]) >= 10
    assert sum(row["movie_id"] % 2 for row in of[1002]) <= 2
    cold = [[(row["movie_id"], row["score"]) for row in of[user]] for user in (1003, 2001, 2002)]
    assert cold[0] == cold[1] == cold[2]


def test_a_list_is_limited_by_the_catalog_and_the_candidates(
    model: Path, histories: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lists.parquet"
    succeed("recommend", "--model", model, "--histories", histories, "--out", out)
    lists = rows(out)
    assert sorted(row["movie_id"] for row in lists if row["user_id"] == 1003) == list(range(1, 50))
    assert sum(row["user_id"] == 1001 for row in lists) == 49 - 9
    (tmp_path / "candidates.csv").write_text("movie_id\n1\n20\n48\n777\n")
    result = succeed(
        "recommend", "--model", model, "--histories", histories, "--candidates", tmp_path / "candidates.csv",
        "--diversity", 0.5, "--out", out,
    )  # fmt: skip
    assert "1 candidates are not in the model" in result.output
    assert {row["user_id"]: set() for row in rows(out)}.keys() == {1001, 1002, 1003}
    assert {row["movie_id"] for row in rows(out) if row["user_id"] == 1001} == {20, 48}


def test_processes_write_the_lists_of_one(model: Path, histories: Path, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("\n".join(["user_id", *map(str, range(2001, 2031))]))
    written = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.parquet"
        succeed(
            "recommend", "--model", model, "--histories", histories, "--users", tmp_path / "users.csv",
            "--diversity", 0.3, "--k", 5, "--jobs", jobs, "--out", out,
        )  # fmt: skip
        written.append(rows(out))
    assert len(written[0]) == 33 * 5
    assert written[0] == written[1]


def test_predictions_have_the_order_of_the_pairs(model: Path, histories: Path, tmp_path: Path) -> None:
    pairs = [(1002, 31), (1001, 31), (5, 31), (1001, 9999), (5, 9999), (1001, 31), (1001, 48)]
    text = "\n".join(["user_id,movie_id", *(f"{user},{movie}" for user, movie in pairs)])
    (tmp_path / "pairs.csv").write_text(text)
    out = tmp_path / "predictions.csv"
    succeed(
        "predict", "--model", model, "--pairs", tmp_path / "pairs.csv", "--histories", histories, "--out", out
    )
    predictions = rows(out)
    assert [(row["user_id"], row["movie_id"]) for row in predictions] == pairs
    for row in predictions:
        assert 0.5 <= row["low"] <= row["stars"] <= row["high"] <= 5
        assert 0 <= row["match_percent"] <= 100
    disliked, liked, unknown_user, *_ = (row["stars"] for row in predictions)
    assert disliked < unknown_user < liked
    assert disliked < 3
    assert liked > 4
    assert predictions[1] == predictions[5]
    assert list(predictions[0]) == ["user_id", "movie_id", "stars", "low", "high", "match_percent"]


def test_a_movie_without_ratings_gets_the_mean_of_ratings_not_of_obscure_movies(tmp_path: Path) -> None:
    known = [f"{user},{movie},4" for user in range(30) for movie in range(5)]
    obscure = [f"{movie % 30},{movie},1" for movie in range(100, 140)]
    (tmp_path / "r.csv").write_text("\n".join(["userId,movieId,rating", *known, *obscure]))
    (tmp_path / "settings.toml").write_text("factors = 4\niterations = 2\n")
    (tmp_path / "p.csv").write_text("user_id,movie_id\n99,999\n")
    model, out = tmp_path / "model", tmp_path / "out.csv"
    succeed("train", "--data", tmp_path / "r.csv", "--out", model, "--settings", tmp_path / "settings.toml")
    succeed("predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out)
    assert rows(out)[0]["stars"] == pytest.approx(3.37, abs=0.3)


def test_string_ids_are_written_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    ratings = [
        f"user-{user},tt{movie:07d},{rng.integers(1, 11) / 2},{964982703 + movie}"
        for user in range(30)
        for movie in rng.permutation(25)[:14]
    ]
    (tmp_path / "r.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]))
    (tmp_path / "settings.toml").write_text("factors = 4\niterations = 2\n")
    model, out = tmp_path / "model", tmp_path / "out.csv"
    succeed("train", "--data", tmp_path / "r.csv", "--out", model, "--settings", tmp_path / "settings.toml")
    (tmp_path / "h.csv").write_text("who,tconst,score\nann,tt0000001,5\n17,tt0000002,1\n")
    (tmp_path / "candidates.csv").write_text("movie_id\ntt0000003\ntt0000004\ntt9999999\n")
    result = succeed(
        "recommend", "--model", model, "--histories", tmp_path / "h.csv", "--columns", "user=who",
        "--out", out, "--candidates", tmp_path / "candidates.csv",
    )  # fmt: skip
    assert "1 candidates are not in the model" in result.output
    assert {(row["user_id"], row["movie_id"]) for row in rows(out)} == {
        (user, movie) for user in ("ann", "17") for movie in ("tt0000003", "tt0000004")
    }
    assert [row["user_id"] for row in rows(out)] == ["17", "17", "ann", "ann"]
    (tmp_path / "p.csv").write_text("user_id,movie_id\nbea,tt0000005\nbea,unknown\n")
    succeed("predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out)
    assert [(row["user_id"], row["movie_id"]) for row in rows(out)] == [
        ("bea", "tt0000005"),
        ("bea", "unknown"),
    ]
    result = marquee(
        "predict", "--model", model, "--pairs", tmp_path / "p.csv", "--out", out, "--columns", "x=1"
    )
    assert result.exit_code == 2
    assert "--columns" in result.output


def test_an_invalid_rating_is_refused_with_its_position(model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("user_id,movie_id,rating\n1,2,4.0\n1,3,9.0\n")
    out = tmp_path / "lists.csv"
    result = marquee("recommend", "--model", model, "--histories", bad, "--out", out)
    assert result.exit_code == 1
    assert (
        f"{bad}, line 3: not a rating of the scale: 0.5 to 5 in halves, or 0 to 10 in whole numbers: 9 in"
        in result.output
    )
    assert not out.exists()


def test_no_users_and_no_pairs_write_files_without_rows(model: Path, tmp_path: Path) -> None:
    empty, out = tmp_path / "none.csv", tmp_path / "out.csv"
    empty.write_text("user_id,movie_id,rating\n")
    for command, option in (("recommend", "--histories"), ("predict", "--pairs")):
        succeed(command, "--model", model, option, empty, "--out", out)
        assert out.read_text().startswith("user_id,movie_id,")
        assert rows(out) == []
