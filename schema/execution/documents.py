"""Parse, validate and cost documents, with a cache by text."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from types import NoneType
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    Undefined,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.graphql import OperationType

from app.settings import Settings
from app.web.budget import REQUEST_COST
from schema.core import constraints
from schema.core.constraints import Use, Uses
from schema.execution import limits
from schema.execution.cost import Part, Parts, requested
from schema.execution.limits import too_complex
from schema.execution.operation import is_public, without_incremental_delivery
from schema.execution.request import sha256_of
from schema.execution.telemetry import OTHER, OperationNames

KEPT_CHARACTERS = 1_000_000  # of all texts together; a document takes about 200 bytes for each
CHARACTERS_PER_COST = 10
MAX_SHOWN_COST = 10**12  # beyond it, clients may read another number
MAX_COSTS = 100  # of an operation that are kept
SMALL = {int, float, bool, NoneType, type(Undefined)}  # types of values for which a cost is kept
MAX_ERRORS = 10  # each may take a search for names that were meant


class InvalidDocument(Exception):
    """A text that is not executed; `errors` are those of its parsing or its validation."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document. `public`: whether shared caches may store its answer.

    `names`: its variables. `costs`: those that were computed, by whether the client is signed in, and by the
    variables' values and types.
    """

    kind: OperationType
    public: bool
    parts: tuple[Part, ...]
    uses: tuple[Use, ...]
    names: tuple[str, ...] = ()
    costs: dict[Any, int] = field(default_factory=dict)

    def cost(self, variables: Mapping[str, Any], *, signed_in: bool) -> int:
        """The maximum cost, in units."""
        values = tuple(map(variables.get, self.names, repeat(Undefined)))  # null is another value
        types = tuple(map(type, values))
        if not SMALL.issuperset(types):
            return requested(self.parts, variables, signed_in=signed_in)
        key = signed_in, values, types
        cost = self.costs.get(key)
        if cost is None:
            if len(self.costs) >= MAX_COSTS:
                self.costs.clear()
            cost = self.costs[key] = requested(self.parts, variables, signed_in=signed_in)
        return cost

    def check_variables(self, variables: Mapping[str, Any]) -> None:
        """Raises BadArgument for a value that is longer than where it is used allows."""
        constraints.check(self.uses, variables)


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document. `whole` is `ast` without what defers a part of the answer.

    `labels`: its operations in metrics, empty unless the document is trusted or was found in the cache.
    `prepared`: what the compiler found out about an operation of `ast`, or of `whole` (True).
    """

    text: str
    ast: DocumentNode
    whole: DocumentNode
    operations: Mapping[str | None, Operation]
    labels: dict[str | None, str] = field(default_factory=dict)
    prepared: dict[tuple[str | None, bool], Any] = field(default_factory=dict)

    def operation(self, name: str | None) -> Operation | None:
        """The operation of a name; without a name, the only one."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        return self.operations.get(name)

    def label(self, operation_name: str | None) -> str:
        """The operation in metrics."""
        if operation_name is None and len(self.labels) == 1:
            return next(iter(self.labels.values()))
        return self.labels.get(operation_name, OTHER)

    def kind(self, operation_name: str | None) -> OperationType | None:
        operation = self.operation(operation_name)
        return None if operation is None else operation.kind


class DocumentCache:
    """The valid documents of one schema, under one set of limits; those read last are kept.

    `trusting`: only trusted documents are read.
    """

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self.schema = schema
        self.settings = settings
        self.rules = [*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule]
        if not settings.introspected:
            self.rules.append(NoSchemaIntrospectionCustomRule)
        self.kept: OrderedDict[str, Document] = OrderedDict()
        self.kept_characters = 0
        self.by_hash: dict[str, str] = {}
        self.trusting = settings.trusted_documents is not None
        self.names = OperationNames()

    def text_of(self, sha256: str) -> str | None:
        """The text of a kept document, by the hexadecimal SHA-256 of its text."""
        return self.by_hash.get(sha256)

    def reading_cost(self, query: str) -> int:
        """In units of cost: 0 for a kept text, and for one too long to be read."""
        if query in self.kept or len(query) > self.settings.max_document_characters:
            return 0
        return len(query) // CHARACTERS_PER_COST

    def read(self, query: str) -> Document:
        """The document of a text.

        Raises GraphQLError for a text that is not a document, CallerError for one beyond the limits, and
        InvalidDocument for one that is not valid.
        """
        document = self.known(query)
        if document is not None:
            return document
        ast = limits.read(query, self.settings)
        hidden = not self.settings.suggested
        errors = validate(self.schema, ast, self.rules, max_errors=MAX_ERRORS, hide_suggestions=hidden)
        if errors:
            raise InvalidDocument(errors)
        deferring = "defer" in query or "stream" in query
        whole = without_incremental_delivery(ast) if deferring else ast
        document = Document(query, ast, whole, self.operations(ast))
        if self.trusting:
            self.label(document)
        self.keep(document)
        return document

    def known(self, query: str) -> Document | None:
        """The document of a kept text."""
        document = self.kept.get(query)
        if document is not None:
            self.kept.move_to_end(query)
            if not document.labels:
                self.label(document)
        return document

    def label(self, document: Document) -> None:
        for name in document.operations:
            document.labels[name] = self.names.label(name)

    def operations(self, ast: DocumentNode) -> dict[str | None, Operation]:
        fragments = {
            node.name.value: node for node in ast.definitions if isinstance(node, FragmentDefinitionNode)
        }
        nodes = [node for node in ast.definitions if isinstance(node, OperationDefinitionNode)]
        return {
            None if node.name is None else node.name.value: Operation(
                OperationType(node.operation.value),
                is_public(self.schema, node, fragments),
                Parts(self.schema, node, fragments).parts,
                tuple(Uses(self.schema, node, fragments).found.values()),
                tuple(each.variable.name.value for each in node.variable_definitions or ()),
            )
            for node in nodes
        }

    def keep(self, document: Document) -> None:
        self.kept[document.text] = document
        self.by_hash[sha256_of(document.text)] = document.text
        self.kept_characters += len(document.text)
        while self.kept_characters > KEPT_CHARACTERS:
            forgotten, _ = self.kept.popitem(last=False)
            del self.by_hash[sha256_of(forgotten)]
            self.kept_characters -= len(forgotten)


@dataclass(frozen=True, slots=True)
class CostedOperation:
    """The document to execute, and the most that its operation costs."""

    ast: DocumentNode
    requested: int

    @classmethod
    def of(
        cls,
        document: Document,
        operation: Operation | None,
        variables: Mapping[str, Any],
        limit: int,
        *,
        signed_in: bool = True,
        whole: bool = False,
    ) -> "CostedOperation":
        """Raises CallerError(QUERY_TOO_COMPLEX) for an operation that may cost more than `limit`."""
        of_fields = 0 if operation is None else operation.cost(variables, signed_in=signed_in)
        cost = min(REQUEST_COST + of_fields, MAX_SHOWN_COST)
        if cost > limit:
            raise too_complex("MAX_COST", "The operation may cost {}", limit, cost)
        return cls(document.whole if whole else document.ast, cost)


class DocumentExtension(SchemaExtension):
    """Execute the document that was read and costed; show the cost beside the data."""

    @property
    def costed(self) -> CostedOperation | None:
        costed: CostedOperation | None = getattr(self.execution_context.context, "costed", None)
        return costed

    def on_parse(self) -> Iterator[None]:
        if self.costed is not None:
            self.execution_context.graphql_document = self.costed.ast
        yield

    def on_validate(self) -> Iterator[None]:
        if self.costed is not None:
            self.execution_context.pre_execution_errors = []
        yield

    def get_results(self) -> dict[str, Any]:
        return {} if self.costed is None else cost_of(self.execution_context.context)


def cost_of(context: Any) -> dict[str, Any]:
    """The cost of an operation, for the extensions of its result."""
    cost = {"requested": context.costed.requested}
    budget = getattr(context, "budget", None)
    if budget is not None:
        cost["actual"] = rounded(budget.actual)
    return {"cost": cost}


def rounded(cost: int) -> int:
    """Round up to two digits: the rest is noise, and could distinguish what should look alike."""
    unit: int = 10 ** max(0, len(str(cost)) - 2)
    return -(-cost // unit) * unit
