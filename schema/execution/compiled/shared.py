"""Keep the JSON of selections on objects that all requests share."""

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self
from weakref import ref

import orjson

MOST_BYTES = 16_000_000  # of all kept JSON together
OVERHEAD = 250  # bytes of memory for each kept text, besides its own

NOTHING: Mapping[str, orjson.Fragment] = MappingProxyType({})


class Texts(dict[str, orjson.Fragment]):
    """JSON by selection, to which weak references are possible."""

    __slots__ = ("__weakref__",)


class Shared:
    """An object that is the same for all requests once it is shared, with all that it refers to.

    `in_json`: the JSON of selections on it. A copy of the object is not shared.
    """

    in_json: Mapping[str, orjson.Fragment] = NOTHING

    def shared(self) -> Self:
        """Allow answers about this object to be kept. It must not change from now on."""
        self.in_json = Texts()
        return self


class KeptAnswers:
    """Keeps the JSON of constant selections on shared objects; the oldest is forgotten first.

    A text is kept at its object, so that it goes when the catalog no longer has the object. Its bytes count
    until it would be the oldest.
    """

    __slots__ = ("bytes", "order")

    def __init__(self) -> None:
        self.order: deque[tuple[ref[Texts], str, int]] = deque()
        self.bytes = 0

    def keep(self, source: object, selection: str, out: dict[str, Any]) -> Any:
        """The JSON of the answer, or the answer itself where it cannot be kept."""
        in_json: Any = getattr(source, "in_json", NOTHING)
        if in_json is NOTHING:
            return out
        try:
            text = bytes(memoryview(orjson.dumps(out)))  # a copy: orjson leaves a block of 4 kB for each text
        except TypeError:  # an export, or what is no JSON
            return out
        in_json[selection] = fragment = orjson.Fragment(text)
        self.order.append((ref(in_json), selection, len(text) + OVERHEAD))
        self.bytes += len(text) + OVERHEAD
        while self.bytes > MOST_BYTES:
            oldest, forgotten, size = self.order.popleft()
            if (texts := oldest()) is not None:
                texts.pop(forgotten, None)
            self.bytes -= size
        return fragment
