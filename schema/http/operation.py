"""What can be told of an operation from its text: its kind, and whether one answer may serve many clients."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphql import (
    REMOVE,
    SKIP,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    print_ast,
    strip_ignored_characters,
    visit,
)
from strawberry.types.graphql import OperationType

CACHED_DOCUMENTS = 1_000
# Fields of the query that say the same to everyone who is signed out.
PUBLIC = {"__typename", "__schema", "__type", "movie", "movies", "search", "genres", "node", "nodes"}
INCREMENTAL = {"defer", "stream"}


@dataclass(frozen=True, slots=True)
class Operation:
    kind: OperationType
    public: bool


@lru_cache(maxsize=CACHED_DOCUMENTS)
def described(query: str, operation_name: str | None) -> Operation | None:
    """None for a text that is no document, or has no such operation."""
    document = parsed(query)
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        return None
    kind = OperationType(operation.operation.value)
    public = kind is OperationType.QUERY and PUBLIC.issuperset(root_fields(operation, document))
    return Operation(kind, public)


def parsed(query: str) -> DocumentNode:
    """The document; an empty one for a text that is none, which execution then finds and tells."""
    try:
        return parse(query, no_location=True)
    except (GraphQLError, RecursionError):
        return DocumentNode(definitions=())


def root_fields(operation: OperationDefinitionNode, document: DocumentNode) -> Iterator[str]:
    fragments = {
        node.name.value: node.selection_set
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    left = [operation.selection_set]
    while left:
        for selection in left.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection.name.value
            elif isinstance(selection, InlineFragmentNode):
                left.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                left.append(fragments.pop(selection.name.value))


def in_one_piece(query: str) -> str:
    """The document for a client that does not accept pieces: nothing is deferred, as servers may choose."""
    return query if is_in_one_piece(query) else undeferred(query)


def is_in_one_piece(query: str) -> bool:
    """Whether the text has nothing that could defer a part of the answer."""
    return "@defer" not in query and "@stream" not in query


@lru_cache(maxsize=CACHED_DOCUMENTS)
def undeferred(query: str) -> str:
    document = parsed(query)
    if not document.definitions:
        return query
    undefer, used = Undefer(), Used()
    document = visit(visit(document, undefer), used)
    whole = visit(document, Undeclare(undefer.names - used.names))
    return strip_ignored_characters(print_ast(whole))  # no longer than it came, whatever its indentation


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
