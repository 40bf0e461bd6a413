"""Size, depth and alias limits, checked while parsing and before validation.

The time of validation grows with the square of a document's size where it compares the fields of one name
in one selection (OverlappingFieldsCanBeMerged), and with each operation that spreads a fragment. So each of
these is limited before validation.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    parse,
)

from app.settings import Settings
from schema.core.errors import CallerError, ErrorCode


def too_complex(setting: str, message: str, limit: int, asked: int) -> CallerError:
    """`message` has a place for the number asked."""
    return CallerError(
        f"{message.format(f'{asked:,}')}; the limit is {limit:,}.",
        ErrorCode.QUERY_TOO_COMPLEX,
        setting=setting,
        limit=limit,
        asked=asked,
    )


def read(query: str, settings: Settings) -> DocumentNode:
    """The document, within the limits.

    Raises CallerError(QUERY_TOO_COMPLEX) beyond them, GraphQLSyntaxError for a text that is not a document.
    """
    check_length(query, settings)
    try:
        document = parse(query, max_tokens=settings.max_tokens)
    except GraphQLSyntaxError as error:
        if f"more than {settings.max_tokens} tokens" not in error.message:
            raise
        message = "The document has {} tokens or more"
        raise too_complex("MAX_TOKENS", message, settings.max_tokens, settings.max_tokens + 1) from None
    check(document, settings)
    return document


def check_length(query: str, settings: Settings) -> None:
    """Raises CallerError(QUERY_TOO_COMPLEX)."""
    most = settings.max_document_characters
    if len(query) > most:
        raise too_complex("MAX_DOCUMENT_CHARACTERS", "The document has {} characters", most, len(query))


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a selection, with its fragments written out: levels, parts and aliases.

    `parts` are fields, spreads and the values of their arguments.
    """

    depth: int = 0
    parts: int = 0
    aliases: int = 0


class Measure:
    """Measure selections; each fragment is measured once."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.known: dict[str, Extent | None] = {}

    def selection(self, selections: SelectionSetNode) -> Extent:
        depth = parts = aliases = 0
        for node in selections.selections:
            part = Extent()
            parts += 1 + sum(map(n_values, node.directives or ()))
            if isinstance(node, FieldNode):
                parts += n_values(node)
                inner = self.selection(node.selection_set) if node.selection_set else part
                part = Extent(inner.depth + 1, inner.parts, inner.aliases + (node.alias is not None))
            elif isinstance(node, FragmentSpreadNode):
                part = self.fragment(node.name.value)
            else:
                part = self.selection(node.selection_set)  # type: ignore[attr-defined]
            depth = max(depth, part.depth)
            parts += part.parts
            aliases += part.aliases
        return Extent(depth, parts, aliases)

    def fragment(self, name: str) -> Extent:
        if name not in self.known:
            self.known[name] = None  # while it is measured
            node = self.fragments.get(name)  # validation reports a missing one
            self.known[name] = Extent() if node is None else self.selection(node.selection_set)
        if (found := self.known[name]) is None:
            raise CallerError(f"The fragment `{name}` spreads itself: a fragment cannot be circular.")
        return found

    def pairs(self, selections: list[SelectionSetNode]) -> int:
        """The number of pairs of one name that the selections have for one object, and within its fields.

        A spread counts as a name. Each spread is followed, `Extent.parts` steps in all.
        """
        names: Counter[str] = Counter()
        inside: defaultdict[str, list[SelectionSetNode]] = defaultdict(list)
        left = list(selections)
        while left:
            for node in left.pop().selections:
                if isinstance(node, FieldNode):
                    name = (node.alias or node.name).value
                    if node.selection_set is not None:
                        inside[name].append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode):
                    name = f"...{node.name.value}"
                    if (fragment := self.fragments.get(node.name.value)) is not None:
                        left.append(fragment.selection_set)
                else:
                    left.append(node.selection_set)  # type: ignore[attr-defined]
                    continue
                names[name] += 1
        return sum(n * (n - 1) // 2 for n in names.values()) + sum(map(self.pairs, inside.values()))


def n_values(node_with_arguments: FieldNode | DirectiveNode) -> int:
    """The number of values in the arguments, with those in lists and objects."""
    left: list[ValueNode] = [argument.value for argument in node_with_arguments.arguments or ()]
    count = 0
    while left:
        node = left.pop()
        count += 1
        if isinstance(node, ListValueNode):
            left.extend(node.values)
        elif isinstance(node, ObjectValueNode):
            left.extend(field.value for field in node.fields)
    return count


def check(document: DocumentNode, settings: Settings) -> None:
    """Raises CallerError for a document beyond the limits, or with circular fragments."""
    measure = Measure(document)
    if len(measure.fragments) > settings.max_fragments:
        message, most = "The document has {} fragments", settings.max_fragments
        raise too_complex("MAX_FRAGMENTS", message, most, len(measure.fragments))
    roots = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    extents = [measure.selection(node.selection_set) for node in roots]
    unused = [node for name, node in measure.fragments.items() if name not in measure.known]
    extents += [measure.fragment(node.name.value) for node in unused]
    if not extents:
        return
    most = settings.max_depth
    if (depth := max(each.depth for each in extents)) > most:
        raise too_complex("MAX_DEPTH", "The document selects {} levels deep", most, depth)
    most = settings.max_aliases
    if (aliases := max(each.aliases for each in extents)) > most:
        raise too_complex("MAX_ALIASES", "The document has {} aliases", most, aliases)
    most = settings.max_tokens
    if (parts := sum(each.parts for each in extents)) > most:
        message = "The document has {} fields, spreads and values, with its fragments written out"
        raise too_complex("MAX_TOKENS", message, most, parts)
    most = settings.max_repeated_fields
    if (pairs := sum(measure.pairs([node.selection_set]) for node in (*roots, *unused))) > most:
        message = "The document repeats fields: {} pairs of the same name in one selection"
        raise too_complex("MAX_REPEATED_FIELDS", message, most, pairs)
