"""Blocks of a matrix as Parquet files, which the workers of a cluster read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from scipy import sparse

from recommender.training.blocks import Block

# Of a value, in a worker: the columns row, column and value as they are read, and again as a matrix.
VALUE_BYTES = 40


@dataclass(frozen=True, slots=True)
class Shard:
    """A block in a file. first: the number of its first row. shape: of the block. size: bytes of the file."""

    path: Path
    first: int
    shape: tuple[int, int]
    size: int


def write(folder: Path, block: Block) -> Shard:
    """Write a block to a new file: columns row, column and value, and of_value if the block has it."""
    rows = block.rows
    columns = {
        "row": np.repeat(np.arange(rows.shape[0], dtype=np.int32), np.diff(rows.indptr)),
        "column": rows.indices.astype(np.int32, copy=False),
        "value": rows.data.astype(np.float32, copy=False),
    }
    if block.of_values is not None:
        columns["of_value"] = block.of_values
    path = folder / f"{block.first}.parquet"
    parquet.write_table(pa.table(columns), path, compression="zstd", write_statistics=False)
    return Shard(path, block.first, rows.shape, path.stat().st_size)


def read(shard: Shard) -> Block:
    """Read a block. Raises FileNotFoundError where the folder of the shards is another one."""
    table = parquet.read_table(shard.path, memory_map=False, use_threads=False)
    indptr = np.zeros(shard.shape[0] + 1, np.int64)
    np.cumsum(np.bincount(table["row"].to_numpy(), minlength=shard.shape[0]), out=indptr[1:])
    matrix = sparse.csr_matrix(
        (_writable(table, "value"), _writable(table, "column"), indptr), shape=shard.shape
    )
    of_values = _writable(table, "of_value") if "of_value" in table.column_names else None
    return Block(shard.first, matrix, of_values)


def _writable(table: pa.Table, name: str) -> NDArray[Any]:
    """A column in memory of its own, as compiled code expects it."""
    return np.array(table[name].to_numpy())
