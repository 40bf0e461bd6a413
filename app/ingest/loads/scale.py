"""Convert the rating column of a file to half-stars."""

import enum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seeds.files.column_roles import RATING
from seeds.files.rating_rows import RatingFormat, ReadRows
from seeds.files.ratings import on_scale
from seeds.files.report import SourceError, shown

LIKED, DISLIKED = 10, 2  # half-stars of yes and no
MAX_STARS = 5
TEN = RatingFormat(half_stars_per_unit=1, zero_is_lowest=True)


class Scale(enum.StrEnum):
    """The meaning of the rating column."""

    STARS = "stars"  # 0.5 to 5 in halves
    TEN = "ten"  # 0 to 10, read as half-stars, and 0 as half a star
    LIKES = "likes"  # yes and no, 1 and 0, or no column: five stars and one star


def half_stars_of(rows: ReadRows, scale: Scale | None) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Convert ratings to half-stars, int16 (n,); also return which are off the scale, bool (n,), and 0.

    Raises SourceError if `scale` is None and the column may be of another scale than stars.
    """
    if RATING not in rows.layout.order:
        if scale is not Scale.LIKES:
            raise SourceError("the file has no column of ratings: --scale likes reads each row as a like")
        return np.full(len(rows), LIKED, np.int16), np.zeros(len(rows), bool)
    scale = scale or _scale_of(rows)
    if scale is not Scale.LIKES:
        return on_scale(rows.ratings, TEN if scale is Scale.TEN else RatingFormat())
    off = ~(np.isinf(rows.ratings) | np.isin(rows.ratings, (-1, 0, 1)))
    stars = np.where(rows.ratings > 0, LIKED, DISLIKED)
    return np.where(off, 0, stars).astype(np.int16), off


def _scale_of(rows: ReadRows) -> Scale:
    name = shown(rows.layout.name(RATING), 60)
    answers = np.isinf(rows.ratings)
    if answers.any():
        if answers.all():
            return Scale.LIKES
        raise SourceError(f"column {name} holds both numbers and yes or no: correct it")
    values = set(pa.array(rows.ratings).unique().to_pylist())
    if values and max(values) > MAX_STARS:
        raise SourceError(
            f"column {name} has ratings up to {max(values):g}. Name their scale: --scale ten for 0 to 10, or "
            "--scale stars to refuse those above 5"
        )
    if values and values <= {-1.0, 0.0, 1.0}:
        listed = ", ".join(f"{value:g}" for value in sorted(values))
        raise SourceError(
            f"column {name} has only {listed}. Name their scale: --scale likes, or --scale stars"
        )
    return Scale.STARS
