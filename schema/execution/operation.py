"""Static analysis of a valid document: what may be cached publicly, and its form without @defer."""

from collections.abc import Iterator, Mapping

from graphql import (
    REMOVE,
    SKIP,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.core.directives import CacheControl, CacheControlScope

INCREMENTAL = {"defer", "stream"}

Fragments = Mapping[str, FragmentDefinitionNode]


def is_public(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> bool:
    """Whether it is a query and each root field is `@cacheControl(scope: PUBLIC)`, or introspection."""
    return operation.operation is OperationType.QUERY and all(
        is_public_field(schema, name) for name in root_fields(operation, fragments)
    )


def is_public_field(schema: GraphQLSchema, name: str) -> bool:
    if name.startswith("__"):  # reserved for introspection
        return True
    assert schema.query_type is not None
    definition = schema.query_type.fields[name].extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return any(
        isinstance(directive, CacheControl) and directive.scope is CacheControlScope.PUBLIC
        for directive in getattr(definition, "directives", ())
    )


def root_fields(operation: OperationDefinitionNode, fragments: Fragments) -> Iterator[str]:
    """The names of the fields that the operation selects at its root, each fragment followed once."""
    unread = dict(fragments)
    left = [operation.selection_set]
    while left:
        for selection in left.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection.name.value
            elif isinstance(selection, InlineFragmentNode):
                left.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in unread:
                left.append(unread.pop(selection.name.value).selection_set)


def without_incremental_delivery(document: DocumentNode) -> DocumentNode:
    """The document without @defer and @stream, and without the variables that only they use.

    Servers may ignore both directives. The same document where it has neither.
    """
    undefer, used = Undefer(), Used()
    whole: DocumentNode = visit(document, undefer)
    if whole is not document:
        visit(whole, used)
        whole = visit(whole, Undeclare(undefer.names - used.names))
    return whole


class Used(Visitor):
    """Collects the names of the variables that are used."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable_definition(self, *_: object) -> object:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)


class Undefer(Used):
    """Removes @defer and @stream, and collects the names of the variables in them."""

    def enter_directive(self, node: DirectiveNode, *_: object) -> object:
        if node.name.value not in INCREMENTAL:
            return SKIP
        visit(node, used := Used())
        self.names |= used.names
        return REMOVE


class Undeclare(Visitor):
    """Removes the declarations of variables."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> object:
        return REMOVE if node.variable.name.value in self.names else SKIP
