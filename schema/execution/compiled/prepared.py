"""Decide whether an operation is compiled, and into how many forms."""

from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues

from schema.execution.operation import INCREMENTAL

MAX_SWITCHES = 3  # variables of @skip and @include; each may double the forms of an operation
SWITCHING = {"skip", "include"}
# Changes what an error makes null, or waits for a later version of the specification.
NOT_COVERED = {*INCREMENTAL, "experimental_disableErrorPropagation"}


class Facts(Visitor):
    """The facts that decide whether an operation is compiled: directives, switches and introspection."""

    def __init__(self) -> None:
        super().__init__()
        self.switches: set[str] = set()
        self.reason: str | None = None

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        if node.name.value in NOT_COVERED:
            self.reason = "directive"
        elif node.name.value in SWITCHING:
            self.switches |= {
                each.value.name.value for each in node.arguments or () if isinstance(each.value, VariableNode)
            }

    def enter_field(self, node: Any, *_: object) -> None:
        if node.name.value in {"__schema", "__type"}:
            self.reason = "introspection"


class Prepared:
    """An operation of a kept document. `uses`: how often it was asked for."""

    __slots__ = ("ast", "node", "reason", "switches", "uses")

    def __init__(self, ast: DocumentNode, name: str | None) -> None:
        self.ast = ast
        self.node = operation_node(ast, name)
        facts = Facts()
        visit(self.node, facts)
        for fragment in fragments_of(ast).values():
            visit(fragment, facts)
        self.switches = sorted(facts.switches)
        self.reason = facts.reason
        if self.node.operation is OperationType.SUBSCRIPTION:
            self.reason = "subscription"
        elif len(self.switches) > MAX_SWITCHES:
            self.reason = "switches"
        self.uses = 0

    def switched(self, variables: VariableValues) -> tuple[bool, ...] | None:
        """The values of the switches; None if one is null."""
        if not self.switches:
            return ()
        values = tuple(variables.coerced.get(name) for name in self.switches)
        return values if all(isinstance(value, bool) for value in values) else None  # type: ignore[return-value] # checked


def operation_node(ast: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation of a name; without a name, the only one."""
    nodes = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
    return next(node for node in nodes if name is None or (node.name and node.name.value == name))


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
