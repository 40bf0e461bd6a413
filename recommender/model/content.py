"""Content vectors of items from their metadata, and query embedding."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse import hstack as sparse_hstack

from recommender.item_features import ItemFeatures
from recommender.model.pca import principal_components
from recommender.model.sentence_embeddings import SentenceModel

WIDTH = 512  # components used in training: names of people and keywords have components of low variance
VECTOR_WIDTH = 128  # components used for similarity, in pgvector too
N_NUMBERS = 5  # year, runtime, popularity, vote average, vote count
# Scale and clipping of the numbers appended to the components, in standard deviations. The components have
# length 1; the numbers let the content prior predict longer factors for well-known items. Chosen on
# validation splits: docs/recommender.md.
BESIDE, OUTLYING = 0.6, 2.5
# The share of each block in the squared length of an item's feature row; a missing block contributes 0.
# Chosen on held-out items of MovieLens latest-small: weights from half to twice these change the NDCG@10 of
# the content prior by .013 at most. Weight on numbers finds equally popular items, not similar ones.
BLOCK_WEIGHTS = {
    "title": 0.1,
    "overview": 0.5,
    "keyword": 2.0,
    "director": 0.4,
    "cast": 0.5,
    "collection": 0.5,
    "genre": 1.6,
    "language": 0.3,
    "decade": 0.6,
    "attribute": 1.0,
}
NUMBERS_WEIGHT = 0.6  # within the components
SENTENCES_WEIGHT = 1.0
ONE_HOT = frozenset({"genre", "language", "decade"})
MIN_ITEMS = 2  # a token of a single item relates it to no other
MAX_SHARE = 0.2  # a word in more items than this is a stop word, in any language
MAX_TOKENS = 40_000
_BLOCKS = tuple(BLOCK_WEIGHTS)
WORD = re.compile(r"\w[\w-]*")


class ContentEncoder:
    """Encode items as TF-IDF blocks, one-hot blocks and standardized numbers, reduced by PCA.

    Every block of an item's row is scaled to its weight in `BLOCK_WEIGHTS` before the reduction, so that
    a long overview does not outweigh the genres.
    """

    def __init__(
        self,
        *,
        vocabulary: list[str],
        idf: NDArray[np.float32],
        number_mean: NDArray[np.float32],
        number_scale: NDArray[np.float32],
        components: NDArray[np.float32],
        offset: NDArray[np.float32],
        sentences: SentenceModel | None = None,
    ) -> None:
        n_further = len(number_mean) + (sentences.width if sentences else 0)
        assert len(vocabulary) == len(idf) == len(components) - n_further
        self.vocabulary = vocabulary
        self.idf = idf
        self.number_mean = number_mean
        self.number_scale = number_scale
        self.components = components  # (n_features, width)
        self.offset = offset  # (width,), the mean row after the projection
        self.sentences = sentences
        self._columns = {token: column for column, token in enumerate(vocabulary)}
        self._block = np.array([_BLOCKS.index(token.split(":", 1)[0]) for token in vocabulary], np.int64)

    @classmethod
    def fit(
        cls,
        items: ItemFeatures,
        *,
        width: int = WIDTH,
        rng: np.random.Generator,
        sentences: SentenceModel | None = None,
    ) -> Self:
        """Fit vocabulary, scales and projection; components beyond the rank of the features are 0.

        sentences: a model whose vectors of the items' texts are added to the features.
        """
        return cls.fit_transform(items, width=width, rng=rng, sentences=sentences)[0]

    @classmethod
    def fit_transform(
        cls,
        items: ItemFeatures,
        *,
        width: int = WIDTH,
        rng: np.random.Generator,
        sentences: SentenceModel | None = None,
    ) -> tuple[Self, NDArray[np.float32]]:
        """The encoder of `fit`, and the result of its `transform` for the same items."""
        numbers = _numbers(items)
        present = np.isfinite(numbers)
        count = np.maximum(present.sum(axis=0), 1)
        filled = np.where(present, numbers, 0)
        mean = filled.sum(axis=0) / count
        scale = np.sqrt((np.where(present, numbers - mean, 0) ** 2).sum(axis=0) / count)
        vocabulary, idf = _vocabulary(items)
        n_features = len(vocabulary) + numbers.shape[1] + (sentences.width if sentences else 0)
        encoder = cls(
            vocabulary=vocabulary,
            idf=idf,
            number_mean=mean.astype(np.float32),
            number_scale=np.where(scale > 0, scale, 1).astype(np.float32),
            components=np.zeros((n_features, width), np.float32),
            offset=np.zeros(width, np.float32),
            sentences=sentences,
        )
        features = encoder.features(items)
        encoder.components, encoder.offset = principal_components(features, width, rng)
        return encoder, encoder._content(items, features)

    def transform(self, items: ItemFeatures) -> NDArray[np.float32]:
        """Return the items' content, float32 (n, width + N_NUMBERS): components of length 1, then numbers.

        The numbers are standard deviations from the mean item times BESIDE, 0 where unknown. An item without
        metadata is a row of 0. An item's content does not depend on the other items of the call, nor on
        whether it was in the items of `fit`.
        """
        return self._content(items, self.features(items))

    def _content(self, items: ItemFeatures, features: csr_matrix) -> NDArray[np.float32]:
        projected = features @ self.components - self.offset  # (n, n_features) @ (n_features, width)
        projected[np.diff(features.indptr) == 0] = 0
        beside = np.nan_to_num(self._standing(items)).clip(-OUTLYING, OUTLYING) * BESIDE
        return np.concatenate([unit(projected), beside.astype(np.float32)], axis=1)

    def features(self, items: ItemFeatures) -> csr_matrix:
        """The features before PCA, csr float32 (n, n_features): words, then numbers, then sentences."""
        row, column, count = self._counts(items)
        value = (1 + np.log(count)) * self.idf[column]
        block = row * len(_BLOCKS) + self._block[column]
        energy = np.bincount(block, weights=value**2, minlength=len(items) * len(_BLOCKS))
        weight = np.array([BLOCK_WEIGHTS[name] for name in _BLOCKS])
        value *= np.sqrt(weight[self._block[column]] / energy[block])
        numbers = self._standing(items) * np.sqrt(NUMBERS_WEIGHT / N_NUMBERS)
        known_row, known_column = np.nonzero(np.isfinite(numbers))
        shape = (len(items), len(self.vocabulary) + numbers.shape[1])
        values = np.concatenate([value, numbers[known_row, known_column]]).astype(np.float32)
        rows = np.concatenate([row, known_row])
        columns = np.concatenate([column, known_column + len(self.vocabulary)])
        features = csr_matrix((values, (rows, columns)), shape=shape)
        if self.sentences is not None:
            vectors = np.float32(SENTENCES_WEIGHT**0.5) * self.sentences.vectors(_texts(items))
            features = sparse_hstack([features, csr_matrix(vectors)], format="csr")
        features.sort_indices()  # so that an item's sums do not depend on the other items
        return features

    def _standing(self, items: ItemFeatures) -> NDArray[np.float64]:
        """The numbers as standard deviations from the mean item, (n, N_NUMBERS); nan where unknown."""
        return np.asarray((_numbers(items) - self.number_mean) / self.number_scale, np.float64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The whole state; the vocabulary as UTF-8 lines in a uint8 array."""
        return {
            "vocabulary": np.frombuffer("\n".join(self.vocabulary).encode(), np.uint8),
            "idf": self.idf,
            "number_mean": self.number_mean,
            "number_scale": self.number_scale,
            "components": self.components,
            "offset": self.offset,
            **({"sentences": self.sentences.array()} if self.sentences else {}),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> Self:
        lines = arrays["vocabulary"].tobytes().decode()
        sentences = SentenceModel.from_array(arrays["sentences"]) if "sentences" in arrays else None
        numbers = arrays.keys() - {"vocabulary", "sentences"}
        rest = {name: np.asarray(arrays[name], np.float32) for name in numbers}
        return cls(vocabulary=lines.split("\n") if lines else [], sentences=sentences, **rest)

    def _counts(
        self, items: ItemFeatures
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for row in range(len(items)):
            for token, count in Counter(_tokens(items, row)).items():
                if (column := self._columns.get(token)) is not None:
                    rows.append(row)
                    columns.append(column)
                    counts.append(count)
        return np.array(rows, np.int64), np.array(columns, np.int64), np.array(counts, np.float64)


def components_of(content: NDArray[np.float32]) -> NDArray[np.float32]:
    """The components in the result of `transform`, float32 (n, width), rows of length 1 or 0."""
    return content[:, :-N_NUMBERS]


def vectors_of(content: NDArray[np.float32]) -> NDArray[np.float32]:
    """The leading components in the result of `transform`: float32 (n, VECTOR_WIDTH), length 1 or 0."""
    return unit(components_of(content)[:, :VECTOR_WIDTH])


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    return scaled


def _tokens(items: ItemFeatures, row: int) -> Iterator[str]:
    for word in WORD.findall(items.titles[row].casefold()):
        yield f"title:{word}"
    for word in WORD.findall(items.overviews[row].casefold()):
        yield f"overview:{word}"
    for block, names in (
        ("attribute", items.attributes[row]),
        ("keyword", items.keywords[row]),
        ("director", items.directors[row]),
        ("cast", items.cast[row]),
        ("genre", items.genres[row]),
        ("collection", (items.collections[row],)),
        ("language", (items.languages[row],)),
        ("decade", (str(items.years[row] // 10 * 10 or ""),)),
    ):
        for name in names:
            if name.strip():
                yield f"{block}:{' '.join(name.casefold().split())}"


def _texts(items: ItemFeatures) -> list[str]:
    columns = zip(items.titles, items.overviews, map(", ".join, items.keywords), strict=True)
    return [". ".join(filter(None, parts)) for parts in columns]


def _vocabulary(items: ItemFeatures) -> tuple[list[str], NDArray[np.float32]]:
    n_items = len(items)
    frequency: Counter[str] = Counter()
    for row in range(n_items):
        frequency.update(set(_tokens(items, row)))
    kept = [
        (token, count)
        for token, count in frequency.items()
        if token.split(":", 1)[0] in ONE_HOT
        or MIN_ITEMS <= count <= max(MIN_ITEMS, MAX_SHARE * n_items)
        or (token.startswith("attribute:") and count >= MIN_ITEMS)
    ]
    # Frequent tokens first, so that the cap drops the rarest; ties by name make the fit deterministic.
    kept = sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:MAX_TOKENS]
    kept.sort()
    idf = [
        1.0 if token.split(":", 1)[0] in ONE_HOT else float(np.log((1 + n_items) / (1 + count)) + 1)
        for token, count in kept
    ]
    return [token for token, _ in kept], np.array(idf, np.float32)


def _numbers(items: ItemFeatures) -> NDArray[np.float64]:
    """(n, N_NUMBERS) float64 with nan where unknown."""
    columns = [items.years, items.runtimes, items.popularity, items.vote_average, items.vote_count]
    numbers = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    numbers[(numbers <= 0) | ~np.isfinite(numbers)] = np.nan
    # Runtime, popularity and vote count have long tails, which would dominate the scale.
    numbers[:, [1, 2, 4]] = np.log1p(numbers[:, [1, 2, 4]])
    return numbers


def query_vector(encoder: ContentEncoder, words: str, genres: Sequence[str]) -> NDArray[np.float32]:
    """Embed a text query: float32 (VECTOR_WIDTH,) of length 1, or zeros if the encoder knows no word of it.

    The words are encoded as an overview. Each word, each pair of adjacent words and the likely singular and
    plural of each word are also encoded as keywords, and the names in `genres` that are among the words as
    genres. The mean item is not subtracted, because the absence of a word from a query has no meaning.
    """
    query = WORD.findall(words.casefold())
    item = ItemFeatures.blank(np.zeros(1, np.int64))
    item.overviews[0] = words
    numbers = (form for word in query for form in (f"{word}s", word.removesuffix("s")))
    item.keywords[0] = tuple(dict.fromkeys([*query, *map(" ".join, pairwise(query)), *numbers]))
    item.genres[0] = tuple(genre for genre in genres if genre.casefold() in query)
    row = encoder.features(item)
    # Only the rows of the query's features: the whole product would copy all components.
    leading = encoder.components[row.indices, :VECTOR_WIDTH]
    direction: NDArray[np.float32] = np.asarray(row.data @ leading, np.float32)
    length = np.linalg.norm(direction)
    if length > 0:
        direction /= length
    return direction
