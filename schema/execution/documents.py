"""Documents as they are executed: read within the limits, valid, and with what their operations cost.

Those read are kept, so that a document which comes again is looked up by its text.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from app.settings import Settings
from app.web.budget import REQUEST_COST
from schema.core import constraints
from schema.core.constraints import Use, Uses
from schema.execution import limits
from schema.execution.cost import Part, Parts, requested
from schema.execution.limits import too_complex

KEPT_CHARACTERS = 1_000_000  # of all texts together; a document takes about 200 bytes for each
CHARACTERS_PER_COST = 10
MOST_TOLD = 10**12  # of cost; beyond it, clients may read another number
MAX_FAULTS = 10  # each may take a search for names that were meant


@dataclass(frozen=True, slots=True)
class Document:
    """`faults` is what validation found; nothing is executed then, and there are no `costs` and `uses`."""

    ast: DocumentNode
    faults: list[GraphQLError]
    costs: Mapping[str | None, tuple[Part, ...]]
    uses: Mapping[str | None, tuple[Use, ...]]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        return get_operation_ast(self.ast, name)

    def parts(self, operation_name: str | None) -> tuple[Part, ...]:
        operation = self.operation(operation_name)
        return self.costs.get(name_of(operation), ()) if operation is not None else ()

    def check_variables(self, operation_name: str | None, variables: Mapping[str, Any]) -> None:
        """Raises BadArgument for a value that is longer than where it is used allows."""
        operation = self.operation(operation_name)
        if operation is not None:
            constraints.check(self.uses[name_of(operation)], variables)

    def is_subscription(self, operation_name: str | None) -> bool:
        return self.kind(operation_name) is OperationType.SUBSCRIPTION

    def is_mutation(self, operation_name: str | None) -> bool:
        return self.kind(operation_name) is OperationType.MUTATION

    def kind(self, operation_name: str | None) -> OperationType | None:
        operation = self.operation(operation_name)
        return None if operation is None else operation.operation


def name_of(operation: OperationDefinitionNode) -> str | None:
    return None if operation.name is None else operation.name.value


class Reader:
    """Reads documents for one schema, under one set of limits."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self.schema = schema
        self.settings = settings
        self.rules = [*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule]
        if not settings.introspected:
            self.rules.append(NoSchemaIntrospectionCustomRule)
        self.kept: OrderedDict[str, Document] = OrderedDict()
        self.kept_characters = 0

    def reading_cost(self, query: str) -> int:
        """In units of cost; nothing for a text that is known, or too long to be read."""
        if query in self.kept or len(query) > self.settings.max_document_characters:
            return 0
        return len(query) // CHARACTERS_PER_COST

    def read(self, query: str) -> Document:
        """The document of a text.

        Raises GraphQLError for a text that is not a document, and CallerError for one beyond the limits.
        """
        document = self.kept.get(query)
        if document is not None:
            self.kept.move_to_end(query)
            return document
        ast = limits.read(query, self.settings)
        hidden = not self.settings.suggested
        faults = validate(self.schema, ast, self.rules, max_errors=MAX_FAULTS, hide_suggestions=hidden)
        if faults:
            return Document(ast, faults, {}, {})
        fragments = {
            node.name.value: node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)
        }
        operations = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
        uses = {
            name_of(node): tuple(Uses(self.schema, node, fragments).found.values()) for node in operations
        }
        costs = {name_of(node): Parts(self.schema, node, fragments).parts for node in operations}
        document = Document(ast, faults, costs, uses)
        self.keep(query, document)
        return document

    def keep(self, query: str, document: Document) -> None:
        self.kept[query] = document
        self.kept_characters += len(query)
        while self.kept_characters > KEPT_CHARACTERS:
            forgotten, _ = self.kept.popitem(last=False)
            self.kept_characters -= len(forgotten)


@dataclass(frozen=True, slots=True)
class Priced:
    """A document with what is asked of it."""

    document: Document
    parts: tuple[Part, ...]
    requested: int

    @classmethod
    def of(
        cls,
        document: Document,
        operation_name: str | None,
        variables: Mapping[str, Any],
        most: int,
        *,
        signed_in: bool = True,
    ) -> "Priced":
        """Raises CallerError(QUERY_TOO_COMPLEX) for an operation that may cost more than `most`."""
        parts = document.parts(operation_name)
        cost = min(REQUEST_COST + requested(parts, variables, signed_in=signed_in), MOST_TOLD)
        if cost > most:
            raise too_complex("MAX_COST", "The operation may cost {}", most, cost)
        return cls(document, parts, cost)


class Prepared(SchemaExtension):
    """Executes what has been read and priced; tells the cost beside the data."""

    @property
    def priced(self) -> Priced | None:
        found: Priced | None = getattr(self.execution_context.context, "priced", None)
        return found

    def on_parse(self) -> Iterator[None]:
        if self.priced is not None:
            self.execution_context.graphql_document = self.priced.document.ast
        yield

    def on_validate(self) -> Iterator[None]:
        if self.priced is not None:
            self.execution_context.pre_execution_errors = self.priced.document.faults
        yield

    def get_results(self) -> dict[str, Any]:
        if self.priced is None:
            return {}
        cost = {"requested": self.priced.requested}
        budget = getattr(self.execution_context.context, "budget", None)
        if budget is not None:
            cost["actual"] = rounded(budget.actual)
        return {"cost": cost}


def rounded(cost: int) -> int:
    """To two digits, upwards: the rest is noise, and could tell apart what should look alike."""
    digits: int = 10 ** max(0, len(str(cost)) - 2)
    return -(-cost // digits) * digits
