"""What can be told of an operation from its text: its kind, and whether one answer may serve many clients."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphql import (
    REMOVE,
    SKIP,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    print_ast,
    visit,
)
from strawberry.types.graphql import OperationType

CACHED_DOCUMENTS = 1_000
# Fields of the query that say the same to everyone who is signed out.
PUBLIC = {"__typename", "__schema", "__type", "movie", "movies", "search", "genres", "node", "nodes"}
KEYWORD = re.compile(r"\b(?:query|mutation|subscription)\b")
INCREMENTAL = {"defer", "stream"}


@dataclass(frozen=True, slots=True)
class Operation:
    kind: OperationType
    public: bool


@lru_cache(maxsize=CACHED_DOCUMENTS)
def described(query: str, operation_name: str | None) -> Operation | None:
    """None for a text that is no document, or has no such operation."""
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return None
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        return None
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    fields = fields_of(operation.selection_set, fragments, set())
    kind = OperationType(operation.operation.value)
    return Operation(kind, kind is OperationType.QUERY and PUBLIC.issuperset(fields))


def fields_of(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], seen: set[str]
) -> Iterator[str]:
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection.name.value
        elif isinstance(selection, InlineFragmentNode):
            yield from fields_of(selection.selection_set, fragments, seen)
        elif isinstance(selection, FragmentSpreadNode) and (name := selection.name.value) not in seen:
            seen.add(name)
            if name in fragments:
                yield from fields_of(fragments[name].selection_set, fragments, seen)


def names_needed(query: str) -> bool:
    """Whether the document has several operations, so that the request must name one."""
    return len(KEYWORD.findall(query)) > 1 and has_several(query)


@lru_cache(maxsize=CACHED_DOCUMENTS)
def has_several(query: str) -> bool:
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return False
    return sum(isinstance(node, OperationDefinitionNode) for node in document.definitions) > 1


def in_one_piece(query: str) -> str:
    """The document for a client that does not accept pieces: nothing is deferred, as servers may choose."""
    return undeferred(query) if "@defer" in query or "@stream" in query else query


@lru_cache(maxsize=CACHED_DOCUMENTS)
def undeferred(query: str) -> str:
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return query
    undefer, used = Undefer(), Used()
    document = visit(visit(document, undefer), used)
    return print_ast(visit(document, Undeclare(undefer.names - used.names)))


class Used(Visitor):
    """The names of variables, but for where they are declared."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable_definition(self, *_: object) -> object:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)


class Undefer(Used):
    """Takes out what defers, and notes the variables that it used."""

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        if node.name.value not in INCREMENTAL:
            return SKIP
        visit(node, used := Used())
        self.names |= used.names
        return REMOVE


class Undeclare(Visitor):
    """Takes out declarations of variables that are used no more."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> object:
        return REMOVE if node.variable.name.value in self.names else SKIP
