"""Format of binary COPY: header, trailer, and the row of a rating.

https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format": big-endian, each column after its length.
"""

import numpy as np

HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
RATING_ROW = np.dtype(
    [
        ("columns", ">i2"),
        ("user_id_length", ">i4"),
        ("user_id", ">i8"),
        ("movie_id_length", ">i4"),
        ("movie_id", ">i8"),
        ("half_stars_length", ">i4"),
        ("half_stars", ">i2"),
        ("rated_at_length", ">i4"),
        ("rated_at", ">i8"),
    ]
)
