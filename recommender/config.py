"""What training may be told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """The words are those of `ials`; the defaults are chosen on validation splits of several sets."""

    factors: int = 128  # fewer where there are fewer users or films
    regularization: float | None = None  # None: measured from the ratings by `ials.regularization_for`
    alpha0: float = 0.4
    iterations: int = 12
    item_weight_bytes: int = 256 << 20  # memory bound of the item-to-item weights; this is 8,192 films
    item_ridge: float = 50.0  # the words of `edlae`
    item_dropout: float = 0.3
    item_content: float = 100.0
    item_sittings: float = 0.3
    seed: int = 0
