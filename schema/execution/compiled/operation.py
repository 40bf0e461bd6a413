"""Compile an operation to a function, and execute it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.values import VariableValues, get_variable_values

from schema.execution.compiled.classes import Classes
from schema.execution.compiled.field import Field
from schema.execution.compiled.prepared import fragments_of
from schema.execution.compiled.run import Run, awaited_fields
from schema.execution.compiled.shared import NOTHING, KeptAnswers
from schema.execution.compiled.source import Source

NONE = VariableValues({}, {})


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled operation. `source` is the text of its functions."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    source: str
    function: Any

    async def execute(
        self,
        variables: VariableValues,
        context: Any = None,
        root: Any = None,
        extensions: dict[str, Any] | None = None,
        answers: KeptAnswers | None = None,
    ) -> ExecutionResult:
        """With `answers`, parts of the data may be JSON."""
        run = Run(self.schema, self.operation, self.fragments, variables, context, root, extensions, answers)
        try:
            data = self.function(run, root, None)
            if data.__class__ is CoroutineType:
                data = await data
        except GraphQLError as error:
            run.add(error, None)
            data = None
        return ExecutionResult(data, run.errors or None)


def compile_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    switches: VariableValues,
    classes: dict[str, Classes],
) -> Compiled:
    """Compile an operation of a valid document, for these values of the variables of @skip and @include.

    Raises TooLarge.
    """
    fragments = fragments_of(document)
    details = {name: FragmentDetails(node) for name, node in fragments.items()}
    source = Source(schema, operation, details, switches, classes)
    text = source.text()
    names = {**source.names, "Coroutine": CoroutineType, "awaited_fields": awaited_fields, "NOTHING": NOTHING}
    exec(compile(text, "<operation>", "exec"), names)  # noqa: S102 - made from the schema and checked names
    for found in source.names.values():
        if isinstance(found, Field):
            found.select = {
                name: (names[str(function)], known) for name, (function, known) in found.select.items()
            }
    return Compiled(schema, operation, fragments, text, names["operation"])


def variables_of(
    schema: GraphQLSchema, operation: OperationDefinitionNode, values: Mapping[str, Any] | None
) -> VariableValues | list[GraphQLError]:
    """The coerced variables, or the errors in them."""
    if not operation.variable_definitions:
        return NONE
    return get_variable_values(schema, operation.variable_definitions, dict(values or {}), max_errors=50)
