"""Random valid queries of a schema, from a seed."""

from base64 import b64encode
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    parse,
    validate,
)

LENGTHS = ("first", "last", "perShelf", "shelves")
WORDS = ("love", "star wars", "samurai", "Drama", "en", "", "\u00e9", "1994")
NODES = ("Movie", "Genre", "Person", "User", "Shelf", "Rating", "Nothing")


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    variables: dict[str, Any]


@dataclass
class Writer:
    """Writes one query."""

    schema: GraphQLSchema
    random: Random
    depth: int = 6
    fields_left: int = 40
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)

    def query(self) -> Query:
        root = self.schema.query_type
        assert root is not None
        body = self.selections(root, self.depth)
        declared = f"({', '.join(self.declared)})" if self.declared else ""
        return Query(f"query Q{declared} {body} {' '.join(self.fragments)}", self.variables)

    def selections(self, type_: Any, depth: int) -> str:
        random, parts = self.random, []
        fields: dict[str, GraphQLField] = getattr(type_, "fields", {})
        some = random.sample(sorted(fields), min(len(fields), random.randint(1, 5)))
        for name in some:
            inner = is_composite_type(get_named_type(fields[name].type))
            if self.fields_left > 0 and (depth > 0 or not inner):
                parts.append(self.field(name, fields[name], depth))
                if random.random() < 0.1:  # merged with the first
                    parts.append(parts[-1])
        if random.random() < 0.3 or not parts:
            parts.insert(random.randint(0, len(parts)), self.typename())
        if is_abstract_type(type_) and depth > 0:
            possible = self.schema.get_possible_types(type_)
            chosen = random.sample(list(possible), min(len(possible), 2))
            parts += [self.fragment(each, self.selections(each, depth - 1)) for each in chosen]
        elif random.random() < 0.2 and isinstance(type_, GraphQLObjectType):
            on = random.choice([type_, *type_.interfaces])
            parts.append(self.fragment(on, self.selections(on, 0)))
        return f"{{ {' '.join(parts)} }}"

    def typename(self) -> str:
        return f"t{self.random.randint(0, 3)}: __typename" if self.random.random() < 0.3 else "__typename"

    def fragment(self, on: GraphQLObjectType | GraphQLInterfaceType, body: str) -> str:
        if self.random.random() < 0.5:
            return f"... on {on.name}{self.switch()} {body}"
        name = f"P{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {on.name} {body}")
        return f"...{name}{self.switch()}"

    def field(self, name: str, definition: GraphQLField, depth: int) -> str:
        self.fields_left -= 1
        alias = f"{self.random.choice('abc')}{len(name)}: " if self.random.random() < 0.15 else ""
        inner = is_composite_type(get_named_type(definition.type))
        body = self.selections(get_named_type(definition.type), depth - 1) if inner else ""
        return f"{alias}{name}{self.arguments(definition)}{self.switch()} {body}"

    def switch(self) -> str:
        if self.random.random() > 0.12:
            return ""
        value = self.random.choice([True, False])
        name = self.random.choice(["skip", "include"])
        if self.random.random() < 0.5 or sum(v is True or v is False for v in self.variables.values()) > 2:
            return f" @{name}(if: {str(value).lower()})"
        return f" @{name}(if: {self.variable('Boolean!', value)})"

    def variable(self, type_: str, value: Any) -> str:
        name = f"v{len(self.declared)}"
        default = ""
        if not type_.endswith("!") and self.random.random() < 0.3:
            default = " = null"
        self.declared.append(f"${name}: {type_}{default}")
        if not (default and self.random.random() < 0.5):
            self.variables[name] = value
        return f"${name}"

    def arguments(self, definition: GraphQLField) -> str:
        given = []
        for name, argument in definition.args.items():
            if not is_required_argument(argument) and self.random.random() > 0.35 and name not in LENGTHS:
                continue
            value = self.value(argument.type, name)
            literal = written(value, argument.type)
            if self.random.random() < 0.3:
                literal = self.variable(str(argument.type), value)
            given.append(f"{name}: {literal}")
        return f"({', '.join(given)})" if given else ""

    def value(self, type_: Any, name: str, depth: int = 2) -> Any:  # noqa: PLR0911 - one for each kind
        random = self.random
        if is_non_null_type(type_):
            return self.value(type_.of_type, name, depth)
        if random.random() < 0.08:
            return None if not is_non_null_type(type_) and name not in LENGTHS else 3
        if is_list_type(type_):
            return [self.value(type_.of_type, name, depth) for _ in range(random.randint(0, 3))]
        if isinstance(type_, GraphQLEnumType):
            return random.choice(sorted(type_.values))
        if isinstance(type_, GraphQLInputObjectType):
            wanted = [key for key, part in type_.fields.items() if is_required_argument(part)]
            wanted += [
                key for key in type_.fields if depth > 0 and random.random() < 0.3 and key not in wanted
            ]
            return {key: self.value(type_.fields[key].type, key, depth - 1) for key in wanted}
        if type_.name == "Int":
            return random.randint(1, 12) if name in LENGTHS else random.choice([-1, 0, 1, 3, 12, 1990, 2000])
        if type_.name == "Float":
            return random.choice([-1.0, 0.0, 0.3, 1.0, 4.5])
        if type_.name == "Boolean":
            return random.random() < 0.5
        if type_.name == "ID" or name == "id":
            text = f"{random.choice(NODES)}:{random.randint(0, 60)}"
            return b64encode(text.encode()).decode() if random.random() < 0.9 else text
        return random.choice(WORDS)


def written(value: Any, type_: Any) -> str:
    """The value as a literal."""
    named = get_named_type(type_)
    if isinstance(value, list):
        return f"[{', '.join(written(item, named) for item in value)}]"
    if isinstance(value, dict):
        parts = (f"{key}: {written(item, named.fields[key].type)}" for key, item in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(named, GraphQLEnumType) and value is not None:
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if not is_number(value)
        else str(value)
    )


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def random_query(schema: GraphQLSchema, seed: int) -> Query:
    """A valid query: the first of this seed's."""
    for attempt in range(1000):
        random = Random(f"{seed}/{attempt}")  # noqa: S311 - of a test
        query = Writer(schema, random, depth=random.randint(1, 7)).query()
        if not validate(schema, parse(query.text)):
            return query
    raise AssertionError(f"no valid query of seed {seed}")
