"""Fit the autoencoder with PyTorch, the extra `neural`; half of the inputs are dropped in training."""

from collections.abc import Callable

import numpy as np
import torch

from recommender.interactions import Interactions
from recommender.scorers.autoencoder import Autoencoder
from recommender.scorers.likes import likes

WIDTH = 200
EPOCHS = 100
STEPS = 2_000  # at most, so that a large data set has fewer epochs
BATCHES = 5  # of an epoch, in the limits of LEAST_BATCH and LARGEST_BATCH users
LEAST_BATCH, LARGEST_BATCH = 128, 500
DROPOUT = 0.5
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01  # of the decoder and encoder, as a share of each step (AdamW)


def fit_autoencoder(
    train: Interactions,
    *,
    width: int = WIDTH,
    epochs: int = EPOCHS,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> Autoencoder:
    """Fit on one thread; the same ratings make the same model."""
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
    return Autoencoder(*(np.ascontiguousarray(one.detach().numpy(), np.float32) for one in named))
