"""The names of the kinds of models, apart from their code, which takes a second to load."""

from typing import Literal

Kind = Literal["hybrid", "user-knn", "svd", "nmf", "item-knn", "content", "popularity", "autoencoder"]
