"""The kinds of reasons: why a movie is recommended, or is similar to another one."""

from enum import StrEnum


class ReasonKind(StrEnum):
    BECAUSE_YOU_LIKED = "BECAUSE_YOU_LIKED"
    SHARED_PEOPLE = "SHARED_PEOPLE"
    SHARED_GENRES = "SHARED_GENRES"
    SHARED_KEYWORDS = "SHARED_KEYWORDS"
    SHARED_COLLECTION = "SHARED_COLLECTION"
    POPULAR = "POPULAR"
    YOU_LOVED_IT = "YOU_LOVED_IT"
    PROMOTED = "PROMOTED"
    ASKED_FOR = "ASKED_FOR"


KINDS = {kind.value: kind for kind in ReasonKind}
