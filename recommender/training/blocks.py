"""Blocks of rows of a sparse matrix, and `map_blocks`: compute on them in this process or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a matrix.

    first: the number of its first row. rows: csr (n_rows, n_columns). of_values: int64 (nnz,), aligned with
    rows.data, or None; such as the times of ratings.
    """

    first: int
    rows: sparse.csr_matrix
    of_values: npt.NDArray[np.int64] | None = None


# Of a module that workers can import: it is sent to them by name. Its result depends on nothing else.
OfBlock = Callable[..., Any]


class Blocks(Protocol):
    """A sparse matrix in blocks, with the processes that compute on them."""

    def map_blocks(
        self, of_block: OfBlock, shared: Sequence[Any], by_row: Sequence[Rows] = ()
    ) -> Iterator[Any]:
        """Yield of_block(block, *shared, *parts) for each block, in the order of the rows.

        shared: the same for all blocks. by_row: arrays with one row for each row of the matrix. parts: their
        rows of the block.
        """
        ...


class Workers(Protocol):
    """Processes that compute on blocks: this one, or those of a cluster."""

    def split(
        self,
        rows: sparse.csr_matrix,
        *,
        row_bytes: int,
        shared_bytes: int,
        of_values: npt.NDArray[np.int64] | None = None,
    ) -> AbstractContextManager[Blocks]:
        """Split a matrix into blocks that fit the memory of a worker.

        row_bytes: of the input and the result of a row, without its values. shared_bytes: of the shared
        arguments.
        """
        ...


@dataclass(frozen=True, slots=True)
class OneBlock:
    """A whole matrix as one block, computed by this process with all its threads."""

    block: Block

    def map_blocks(
        self, of_block: OfBlock, shared: Sequence[Any], by_row: Sequence[Rows] = ()
    ) -> Iterator[Any]:
        """See `Blocks.map_blocks`."""
        yield of_block(self.block, *shared, *by_row)


class InProcess:
    """This process."""

    @contextmanager
    def split(
        self,
        rows: sparse.csr_matrix,
        *,
        row_bytes: int,  # noqa: ARG002 - nothing is copied
        shared_bytes: int,  # noqa: ARG002
        of_values: npt.NDArray[np.int64] | None = None,
    ) -> Iterator[Blocks]:
        """See `Workers.split`."""
        yield OneBlock(Block(0, rows, of_values))


IN_PROCESS: Workers = InProcess()


class RowTooLarge(ValueError):
    """A single row needs more memory than there is. needed: bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"a row needs {needed} bytes")
        self.needed = needed


def joined(parts: Iterator[Rows]) -> Rows:
    """The results of all blocks as one array; the result itself if there is one block."""
    first, *rest = parts
    return np.concatenate((first, *rest)) if rest else first


def cuts(
    indptr: npt.NDArray[np.integer], *, memory: int, row_bytes: int, value_bytes: int, least: int
) -> list[slice]:
    """Cut rows into ranges that each need at most `memory` bytes, and into at least `least` if they can be.

    indptr: of the csr matrix. The ranges need about the same. Raises RowTooLarge.
    """
    n_rows = len(indptr) - 1
    if not n_rows:
        return [slice(0, 0)]
    needed = row_bytes * np.arange(n_rows + 1) + value_bytes * (indptr - indptr[0]).astype(np.int64)
    longest = int(np.diff(needed).max())
    if longest > memory:
        raise RowTooLarge(longest)
    size = min(memory, max(longest, -(-int(needed[-1]) // least)))
    ranges, start = [], 0
    while start < n_rows:
        end = int(np.searchsorted(needed, needed[start] + size, side="right")) - 1
        ranges.append(slice(start, end))
        start = end
    return ranges
