"""The fields that an operation selects within a field, so that a resolver makes only these."""

from collections.abc import Collection, Iterator
from typing import Any

import strawberry
from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, SelectionSetNode


def selects(info: strawberry.Info[Any, Any], names: Collection[str]) -> bool:
    """Whether the operation may select a field of one of these names, at any depth within this field.

    True also for a field that a directive leaves out, and for one of another type.
    """
    raw: GraphQLResolveInfo[Any] = info._raw_info  # noqa: SLF001 - Strawberry has no public access
    return any(name in names for name in _names(raw))


def _names(raw: GraphQLResolveInfo[Any]) -> Iterator[str]:
    left: list[SelectionSetNode | None] = [node.selection_set for node in raw.field_nodes]
    spread: set[str] = set()
    while left:
        selection_set = left.pop()
        for node in () if selection_set is None else selection_set.selections:
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name not in spread:
                    spread.add(name)
                    left.append(raw.fragments[name].selection_set)
                continue
            if isinstance(node, FieldNode):
                yield node.name.value
            left.append(node.selection_set)  # type: ignore[attr-defined] # of a field or an inline fragment
