"""A sentence-embedding model on disk adds to the content of items."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from recommender.interactions import Interactions
from recommender.item_features import ItemFeatures
from recommender.model.content import ContentEncoder, vectors_of
from recommender.model.hybrid import Hybrid
from recommender.model.sentence_embeddings import SentenceModel, SentenceModelError
from recommender.training.config import Config
from recommender.training.train import train_hybrid

SAD, MERRY = ("weep", "mourn", "grief"), ("laugh", "joke", "cheer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real model of a few words, in which words of one mood have similar vectors."""
    model2vec = pytest.importorskip("model2vec", reason="the extra `embeddings` is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - of the same extra

    words = ("[UNK]", *SAD, *MERRY)
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(0).normal(scale=0.1, size=(len(words), 6)).astype(np.float32)
    vectors[1:4, 0] += 1
    vectors[4:, 1] += 1
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(str(tmp_path / "moods"))
    return tmp_path / "moods"


def items() -> ItemFeatures:
    """Six items that share no word; the last one has no text."""
    blank = ItemFeatures.blank(np.arange(7))
    overviews = [*SAD, *MERRY, ""]
    return ItemFeatures(
        **{name: getattr(blank, name) for name in ItemFeatures.__slots__} | {"overviews": overviews}
    )


def encoder(sentences: SentenceModel | None) -> ContentEncoder:
    return ContentEncoder.fit(items(), width=4, rng=np.random.default_rng(0), sentences=sentences)


def test_items_of_one_meaning_are_near_each_other_though_they_share_no_word(folder: Path) -> None:
    assert not encoder(None).transform(items()).any()
    vectors = encoder(SentenceModel.open(folder)).transform(items())
    nearness = vectors @ vectors.T
    assert nearness[:3, :3].min() > nearness[:3, 3:6].max()
    assert not vectors[6].any()


def test_a_restored_encoder_finds_the_model_again_or_does_without(folder: Path, tmp_path: Path) -> None:
    fitted = encoder(SentenceModel.open(folder))
    restored = ContentEncoder.from_arrays(fitted.arrays())
    assert np.array_equal(restored.transform(items()), fitted.transform(items()))
    shutil.move(folder, tmp_path / "elsewhere")
    assert not ContentEncoder.from_arrays(fitted.arrays()).transform(items()).any()


def test_a_trained_model_names_its_sentence_model(folder: Path, tmp_path: Path) -> None:
    ratings = Interactions.from_arrays([1, 1, 2, 2], [0, 1, 1, 3], [4, 5, 3, 5], catalog=range(7))
    model = train_hybrid(ratings, items(), Config(factors=2), sentences=SentenceModel.open(folder))
    model.save(tmp_path / "v1")
    loaded = Hybrid.load(tmp_path / "v1")
    assert loaded.manifest["sentences"]["name"] == "moods"
    assert loaded.manifest["sentences"]["width"] == 6
    assert np.array_equal(vectors_of(loaded.encoder.transform(items())), model.content_vectors)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SentenceModelError, match=r"not a Model2Vec model|extra `embeddings`"):
        SentenceModel.open(tmp_path)
