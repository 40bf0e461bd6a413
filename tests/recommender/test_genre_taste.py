import numpy as np
from scipy import sparse

from recommender.genre_taste import GenreTaste

# Items: 0 to 5 are dramas, 6 and 7 westerns, 8 both, 9 has no genre. Dramas have most ratings.
GENRES = sparse.csr_matrix(np.array([[1, 0]] * 6 + [[0, 1]] * 2 + [[1, 1], [0, 0]], np.float32))
TASTE = GenreTaste.of(GENRES, np.array([50] * 6 + [10, 10, 20, 5]))


def _scores(*liked: int, target: float = 1.0) -> np.ndarray:
    return TASTE.scores(np.array(liked, np.int32), np.full(len(liked), target, np.float32))


def test_a_rare_genre_says_more_than_a_common_one() -> None:
    western, drama = _scores(6, 7), _scores(0, 1)
    assert western[6] > drama[0] > 0 > western[0]
    assert western[6] > western[8] > western[0]


def test_without_genres_or_likes_nothing_is_added() -> None:
    assert _scores(6, 7)[9] == 0
    np.testing.assert_allclose(_scores(6, 0, target=0), 0, atol=1e-4)
    assert _scores(6, 7)[6] > _scores(6)[6]
