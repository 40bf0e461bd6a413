"""A block in a Parquet file is the block that was written."""

from pathlib import Path

import numpy as np
from pyarrow import parquet
from scipy import sparse

from app.cluster import shards
from recommender.training.blocks import Block


def test_a_block_is_read_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = sparse.random(30, 20, 0.2, format="csr", rng=rng, dtype=np.float32)
    rows.data[rows.indptr[7] : rows.indptr[8]] = 0
    rows.eliminate_zeros()
    times = rng.integers(0, 10**10, rows.nnz)
    for of_values in (None, times):
        shard = shards.write(tmp_path, Block(12, rows, of_values))
        assert shard.size == shard.path.stat().st_size
        read = shards.read(shard)
        assert (read.first, read.rows.shape) == (12, (30, 20))
        np.testing.assert_array_equal(read.rows.toarray(), rows.toarray())
        assert (read.rows.dtype, read.rows.indices.dtype) == (np.float32, np.int32)
        if of_values is not None:
            np.testing.assert_array_equal(read.of_values, of_values)
    assert parquet.read_schema(shard.path).names == ["row", "column", "value", "of_value"]
