"""Deal movies to shelves, so that no movie is on two of them."""

from collections.abc import Sequence
from itertools import islice

from app.recommendations.shelves import Shelf


def dealt(shelves: Sequence[Shelf], per_shelf: int) -> list[list[int]]:
    """Deal the movies to the shelves; return for each shelf the places in its own order that it gets.

    In rounds, each shelf in turn takes its next `per_shelf` movies that no shelf has taken, until all orders
    are used up. A shelf can be paginated to its end, and no movie is on two shelves.
    """
    taken: set[int] = set()
    orders = [enumerate(shelf.item_idx.tolist()) for shelf in shelves]
    hands: list[list[int]] = [[] for _ in shelves]
    while True:
        before = len(taken)
        for hand, order in zip(hands, orders, strict=True):
            for place, movie in islice(((at, movie) for at, movie in order if movie not in taken), per_shelf):
                taken.add(movie)
                hand.append(place)
        if len(taken) == before:
            return hands
