"""A denoising autoencoder of the likes with a multinomial likelihood (Mult-DAE).

Liang, Krishnan, Hoffman and Jebara, "Variational Autoencoders for Collaborative Filtering", WWW 2018,
sections 2.2 and 3.2, with one hidden layer:

    h = tanh(A x / |x| + a),   logits = B h + b,   maximize  sum over liked items i of log softmax(logits)_i

In training, half of the inputs are dropped. PyTorch fits it; NumPy alone serves it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from recommender.interactions import History, Interactions
from recommender.scorers.likes import liked, likes
from recommender.scorers.part import Arrays, Floats, ItemIdx, left_out, placed

WIDTH = 200
EPOCHS = 100
STEPS = 2_000  # at most, so that a large data set has fewer epochs
BATCHES = 5  # of an epoch, in the limits of LEAST_BATCH and LARGEST_BATCH users
LEAST_BATCH, LARGEST_BATCH = 128, 500
DROPOUT = 0.5
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01  # of the decoder and encoder, as a share of each step (AdamW)


class TorchMissing(Exception):
    """PyTorch is not installed. The message is for the user."""


def require_torch() -> None:
    """Raise TorchMissing before a long training would fail."""
    if find_spec("torch") is None:
        raise TorchMissing("the model `autoencoder` needs the extra `neural`: pip install marquee[neural]")


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """encoder, decoder: float32 (n_items, width). hidden_bias: float32 (width,). bias: float32 (n_items,)."""

    kind: ClassVar[str] = "autoencoder"

    encoder: Floats
    hidden_bias: Floats
    decoder: Floats
    bias: Floats

    @classmethod
    def fit(
        cls,
        train: Interactions,
        *,
        width: int = WIDTH,
        epochs: int = EPOCHS,
        progress: Callable[[float], None] = lambda _fraction: None,
    ) -> Self:
        """Fit with PyTorch on one thread; the same ratings make the same model. Raises TorchMissing."""
        require_torch()
        import torch  # noqa: PLC0415 - an optional extra that takes seconds to load

        ones = likes(train)
        ones = ones[np.flatnonzero(np.diff(ones.indptr))]
        n_users, n_items = ones.shape
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # fixes the order of summation
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                encode, decode = torch.nn.Linear(n_items, width), torch.nn.Linear(width, n_items)
                parameters = [*encode.parameters(), *decode.parameters()]
                solver = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
                size = min(max(n_users // BATCHES, LEAST_BATCH), LARGEST_BATCH)
                n_epochs = min(epochs, max(1, STEPS * size // n_users)) if n_users else 0
                for epoch in range(n_epochs):
                    progress(epoch / n_epochs)
                    for rows in torch.randperm(n_users).split(size):
                        target = torch.from_numpy(ones[rows.numpy()].toarray())
                        kept = torch.nn.functional.dropout(torch.nn.functional.normalize(target), DROPOUT)
                        chances = torch.log_softmax(decode(torch.tanh(encode(kept))), dim=1)
                        loss = -(chances * target).sum(dim=1).mean()
                        solver.zero_grad()
                        loss.backward()
                        solver.step()
        finally:
            torch.set_num_threads(threads)
        named = (encode.weight.T, encode.bias, decode.weight, decode.bias)
        return cls(*(np.ascontiguousarray(one.detach().numpy(), np.float32) for one in named))

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
