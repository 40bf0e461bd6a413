"""A denoising autoencoder of the likes with a multinomial likelihood (Mult-DAE).

Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
sections 2.2 and 3.2, with one hidden layer:

    h = tanh(A x / |x| + a),   logits = B h + b,   maximize  sum over liked items i of log softmax(logits)_i

`recommender.training.fit_autoencoder` fits it with PyTorch; NumPy alone serves it.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History
from recommender.scorers.likes import liked
from recommender.scorers.part import Arrays, Floats, ItemIdx, left_out, placed


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """encoder, decoder: float32 (n_items, width). hidden_bias: float32 (width,). bias: float32 (n_items,)."""

    kind: ClassVar[str] = "autoencoder"

    encoder: Floats
    hidden_bias: Floats
    decoder: Floats
    bias: Floats

    def scores(self, history: History) -> Floats:
        idx = liked(history)
        if not len(idx):
            return np.zeros(len(self.bias), np.float32)
        hidden = np.tanh(self.encoder[idx].sum(axis=0) / np.float32(len(idx)) ** 0.5 + self.hidden_bias)
        return np.asarray(self.decoder @ hidden + self.bias, np.float32)

    def effects(self, history: History, item_idx: ItemIdx) -> Floats:
        return left_out(self, history, item_idx)

    def with_items(self, place: npt.NDArray[np.int64], content_vectors: Floats) -> Self:
        """New items have the lowest bias."""
        n_items = len(content_vectors)
        bias = np.full(n_items, self.bias.min(initial=0), np.float32)
        bias[place] = self.bias
        return type(self)(
            placed(self.encoder, place, n_items), self.hidden_bias, placed(self.decoder, place, n_items), bias
        )

    def arrays(self) -> Arrays:
        names = ("encoder", "hidden_bias", "decoder", "bias")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        return cls(arrays["encoder"], arrays["hidden_bias"], arrays["decoder"], arrays["bias"])
