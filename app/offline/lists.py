"""Recommendation lists of many users, by one process or several, written to a file."""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from app.offline import batch, rating_files
from app.offline.batch import Histories, Ids
from app.offline.rating_files import column
from recommender.interactions import History, Interactions
from recommender.model.batch import recommend_all
from recommender.model.hybrid import Hybrid
from recommender.model.scorer import Ranking
from recommender.progress import Progress
from recommender.training.blocks import Block, Workers

LISTS = pa.schema(
    {
        "rank": pa.int32(),
        "score": pa.float32(),
        "match_percent": pa.float32(),
        "predicted_stars": pa.float32(),
    }
)
BLOCK_ROWS = 1 << 16  # rows of lists that are written at once
BLOCKS_PER_JOB = 4  # at least, so that the processes end at about the same time
LISTED_BYTES = 96  # of a movie in a list, by a worker: as arrays of one user each, and as they are sent
BLOCKS_AHEAD = 2  # for each process, made or being made before they are written

Listed = tuple[Ranking, NDArray[np.float32]]  # a list and the predictions of its movies


@dataclass(frozen=True, slots=True)
class ListOptions:
    """k: movies in a list. diversity: 0 to 1. allowed: movies to choose from, bool (n_items,); None: all."""

    k: int
    diversity: float = 0.0
    allowed: NDArray[np.bool_] | None = None


def recommend(
    model: Hybrid,
    folder: Path,
    histories: Histories,
    out: Path,
    options: ListOptions,
    progress: Progress,
    *,
    jobs: int = 1,
    workers: Workers | None = None,
) -> int:
    """Write the list of each user, ascending by user id; return the number of rows.

    folder: of the model. jobs: processes; with more than one, each loads the model. workers: of a cluster;
    they make the lists instead, and read the model from its folder. The lists are the same.
    """
    ids = Ids.of(histories.user_ids, model.item_ids, {**batch.model_texts(model), **histories.texts})
    schema = ids.schema(LISTS)
    user_ids = ids.ordered(histories.user_ids)
    rows = histories.rows(user_ids)
    n_block = max(1, BLOCK_ROWS // max(1, min(options.k, model.n_items)))
    if jobs > 1:
        n_block = max(1, min(n_block, len(rows) // (jobs * BLOCKS_PER_JOB)))
    blocks = [slice(start, start + n_block) for start in range(0, len(rows), n_block)]
    (cold,) = _listed(model, [History.of([])], options)

    def batches() -> Iterator[pa.RecordBatch]:
        known = ([histories.at(row) for row in rows[block] if row >= 0] for block in blocks)
        if workers is not None:
            made = _on_cluster(workers, folder, histories.ratings, rows[rows >= 0], options)
        else:
            made = (
                _in_processes(folder, known, options, jobs) if jobs > 1 else _in_turn(model, known, options)
            )
        warm = chain.from_iterable(made)
        for block in blocks:
            progress("lists", block.start / len(rows))
            listed = [next(warm) if row >= 0 else cold for row in rows[block]]
            yield pa.record_batch(_columns(model, user_ids[block], listed, ids), schema=schema)

    with threadpool_limits(limits=1, user_api="blas"):  # threads slow down many small matrix products
        return rating_files.write_table(out, schema, batches())


def _on_cluster(
    workers: Workers, folder: Path, ratings: Interactions, rows: NDArray[np.int32], options: ListOptions
) -> Iterator[list[Listed]]:
    """The lists of some rows of the ratings, in the order of the rows."""
    if not len(rows):
        return
    matrix, times = ratings.user_items, ratings.timestamps
    if not np.array_equal(rows, np.arange(ratings.n_users)):
        place = sparse.csr_matrix((np.arange(ratings.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)
        matrix, times = matrix[rows], times[place[rows].data]
    n_list = min(options.k, ratings.n_items)
    split = workers.split(matrix, row_bytes=n_list * LISTED_BYTES, shared_bytes=0, of_values=times)
    with split as blocks:
        yield from blocks.map_blocks(list_block, (folder.resolve(), options))


def list_block(block: Block, folder: Path, options: ListOptions) -> list[Listed]:
    """The lists of users whose stars and times are the rows of a block, by the model in a folder."""
    model, ratings = _loaded(folder), block.rows
    assert block.of_values is not None
    ends = list(pairwise(ratings.indptr.tolist()))
    histories = [
        History(ratings.indices[start:end], ratings.data[start:end], block.of_values[start:end])
        for start, end in ends
    ]
    return _listed(model, histories, options)


def _in_turn(model: Hybrid, blocks: Iterator[list[History]], options: ListOptions) -> Iterator[list[Listed]]:
    return (_listed(model, histories, options) for histories in blocks)


def _in_processes(
    folder: Path, blocks: Iterator[list[History]], options: ListOptions, jobs: int
) -> Iterator[list[Listed]]:
    """The lists of each block, in the order of the blocks."""
    waiting: deque[Future[list[Listed]]] = deque()
    # A process that is forked from one with threads can stand still.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin)
    try:
        for histories in blocks:
            waiting.append(pool.submit(_with_model, folder, histories, options))
            if len(waiting) > jobs * BLOCKS_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Prepare a process of the pool: it has one thread for BLAS, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends the pool
    threadpool_limits(limits=1, user_api="blas")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@cache
def _loaded(folder: Path) -> Hybrid:
    return batch.load(folder)


def _with_model(folder: Path, histories: list[History], options: ListOptions) -> list[Listed]:
    return _listed(_loaded(folder), histories, options)


def _listed(model: Hybrid, histories: Sequence[History], options: ListOptions) -> list[Listed]:
    """Rank and predict movies for each history."""
    typical = batch.typical_items(model)
    rankings = recommend_all(
        model, histories, k=options.k, allowed=options.allowed, diversity=options.diversity
    )
    return [
        (ranking, batch.judge(model, history, ranking.item_idx, typical))
        for history, ranking in zip(histories, rankings, strict=True)
    ]


def _columns(
    model: Hybrid, user_ids: NDArray[np.int64], listed: Sequence[Listed], ids: Ids
) -> list[pa.Array]:
    """The columns of LISTS for some users."""
    lengths = [len(ranking.item_idx) for ranking, _ in listed]
    stars, _, _, match = np.concatenate([judged for _, judged in listed], axis=1)
    item_ids = model.item_ids[np.concatenate([ranking.item_idx for ranking, _ in listed])]
    columns = [
        np.concatenate([np.arange(1, length + 1, dtype=np.int32) for length in lengths]),
        np.concatenate([ranking.scores for ranking, _ in listed]),
        match,
        stars,
    ]
    return [*ids.columns(np.repeat(user_ids, lengths), item_ids), *map(column, columns)]
