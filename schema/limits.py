"""How large a document may be, told from its text before anything is looked up in the schema.

Reading and validating a document is itself work, which grows with the square of its size where validation
compares all fields of one name and all fragments with each other (OverlappingFieldsCanBeMerged). So each of
these is limited before validation.
"""

from collections import Counter
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from app.settings import Settings
from schema.errors import CallerError, ErrorCode


def too_complex(setting: str, told: str, limit: int, asked: int) -> CallerError:
    """`told`: what is too much of what, with a place for the number asked."""
    return CallerError(
        f"{told.format(f'{asked:,}')}; the limit is {limit:,}.",
        ErrorCode.QUERY_TOO_COMPLEX,
        setting=setting,
        limit=limit,
        asked=asked,
    )


def read(query: str, settings: Settings) -> DocumentNode:
    """The document, within the limits.

    Raises CallerError(QUERY_TOO_COMPLEX) beyond them, and GraphQLSyntaxError for what is no document.
    """
    most = settings.max_document_characters
    if len(query) > most:
        raise too_complex("MAX_DOCUMENT_CHARACTERS", "The document has {} characters", most, len(query))
    try:
        document = parse(query, max_tokens=settings.max_tokens)
    except GraphQLSyntaxError as error:
        if f"more than {settings.max_tokens} tokens" not in error.message:
            raise
        told = "The document has {} tokens or more"
        raise too_complex("MAX_TOKENS", told, settings.max_tokens, settings.max_tokens + 1) from None
    check(document, settings)
    return document


@dataclass(frozen=True, slots=True)
class Extent:
    """Of a selection, with the fragments that it spreads: how deep it is, and how much it selects."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0


class Measure:
    """Each fragment is measured once, however often it is spread."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.known: dict[str, Extent | None] = {}
        self.names: Counter[str] = Counter()
        self.spreads = 0

    def selection(self, selections: SelectionSetNode) -> Extent:
        depth = fields = aliases = 0
        for node in selections.selections:
            part = Extent()
            if isinstance(node, FieldNode):
                self.names[(node.alias or node.name).value] += 1
                inner = self.selection(node.selection_set) if node.selection_set else part
                part = Extent(inner.depth + 1, inner.fields + 1, inner.aliases + (node.alias is not None))
            elif isinstance(node, FragmentSpreadNode):
                self.spreads += 1
                part = self.fragment(node.name.value)
            else:
                part = self.selection(node.selection_set)  # type: ignore[attr-defined]
            depth = max(depth, part.depth)
            fields += part.fields
            aliases += part.aliases
        return Extent(depth, fields, aliases)

    def fragment(self, name: str) -> Extent:
        if name not in self.known:
            self.known[name] = None  # it is being measured
            node = self.fragments.get(name)  # one that is missing is for validation to tell
            self.known[name] = Extent() if node is None else self.selection(node.selection_set)
        if (found := self.known[name]) is None:
            raise CallerError(f"The fragment `{name}` spreads itself: a fragment cannot be circular.")
        return found


def check(document: DocumentNode, settings: Settings) -> None:
    """Raises CallerError for a document beyond the limits, or with circular fragments."""
    measure = Measure(document)
    if len(measure.fragments) > settings.max_fragments:
        told, most = "The document has {} fragments", settings.max_fragments
        raise too_complex("MAX_FRAGMENTS", told, most, len(measure.fragments))
    extents = [
        measure.selection(node.selection_set)
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    extents += [measure.fragment(name) for name in measure.fragments]
    if not extents:
        return
    most = settings.max_depth
    if (depth := max(each.depth for each in extents)) > most:
        raise too_complex("MAX_DEPTH", "The document selects {} levels deep", most, depth)
    most = settings.max_aliases
    if (aliases := max(each.aliases for each in extents)) > most:
        raise too_complex("MAX_ALIASES", "The document has {} aliases", most, aliases)
    most = settings.max_tokens
    if (fields := max(each.fields for each in extents)) > most:
        raise too_complex("MAX_TOKENS", "The document selects {} fields by its fragments", most, fields)
    most = settings.max_repeated_fields
    if (pairs := sum(n * (n - 1) // 2 for n in measure.names.values())) > most:
        told = "The document selects the same names again and again: {} pairs of fields of one name"
        raise too_complex("MAX_REPEATED_FIELDS", told, most, pairs)
