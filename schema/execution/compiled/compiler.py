"""The compiled operations of one schema: which operations are compiled, and when."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSchema
from graphql.execution.values import VariableValues

from app.telemetry import metrics
from schema.execution.compiled.classes import Classes
from schema.execution.compiled.operation import Compiled, compile_operation, variables_of
from schema.execution.compiled.prepared import Prepared
from schema.execution.compiled.shared import KeptAnswers
from schema.execution.compiled.source import TooLarge

KEPT_CHARACTERS = 20_000_000  # of the sources together; a function takes about five bytes for each

COMPILED = metrics.executions.labels("compiled", "")

log = logging.getLogger("marquee.compiled")
Key = tuple[str, str | None, bool, tuple[bool, ...]]


class Compiler:
    """Compiles the operations that are asked for again, in a thread, and keeps them.

    The first request of an operation, and those that come while it is compiled, are executed by graphql-core.
    """

    def __init__(self, schema: GraphQLSchema, *, at_once: bool = False) -> None:
        self.schema, self.at_once = schema, at_once
        self.classes: dict[str, Classes] = {}
        self.answers = KeptAnswers()
        self.kept: OrderedDict[Key, Compiled | None] = OrderedDict()
        self.kept_characters = 0
        self.compiling = False

    def variables(
        self, prepared: Prepared, values: Mapping[str, Any] | None
    ) -> VariableValues | list[GraphQLError]:
        return variables_of(self.schema, prepared.node, values)

    def form(
        self, text: str, name: str | None, prepared: Prepared, variables: VariableValues, *, whole: bool
    ) -> Compiled | None:
        """The compiled operation; None if graphql-core executes the request."""
        switched = None if prepared.reason else prepared.switched(variables)
        if switched is None:
            self.count(prepared.reason or "switches")
            return None
        key = (text, name, whole, switched)
        prepared.uses += 1
        if key in self.kept:
            self.kept.move_to_end(key)
        elif self.at_once:
            self.keep(key, self.compiled(prepared, variables))
        elif prepared.uses > 1 and not self.compiling:
            self.compiling = True
            loop = asyncio.get_running_loop()
            # In a new context, so that the client that comes second does not pay.
            made = Context().run(loop.run_in_executor, None, self.compiled, prepared, variables)
            made.add_done_callback(lambda done: self.ended(key, done))
        form = self.kept.get(key)
        if form is None:
            self.count("too large" if key in self.kept else "new")
        else:
            COMPILED.inc()
        return form

    def count(self, reason: str) -> None:
        """Count a request that graphql-core executes."""
        metrics.executions.labels("graphql-core", reason).inc()

    def compiled(self, prepared: Prepared, variables: VariableValues) -> Compiled | None:
        switches = VariableValues(
            {name: variables.sources[name] for name in prepared.switches},
            {name: variables.coerced[name] for name in prepared.switches},
        )
        try:
            return compile_operation(self.schema, prepared.ast, prepared.node, switches, self.classes)
        except TooLarge:
            return None

    def ended(self, key: Key, done: "asyncio.Future[Compiled | None]") -> None:
        self.compiling = False
        if done.cancelled():
            return
        if (fault := done.exception()) is not None:
            log.error("An operation was not compiled, and graphql-core executes it.", exc_info=fault)
        self.keep(key, None if fault else done.result())

    def keep(self, key: Key, form: Compiled | None) -> None:
        self.kept[key] = form
        self.kept_characters += size(form)
        while self.kept_characters > KEPT_CHARACTERS:
            _, forgotten = self.kept.popitem(last=False)
            self.kept_characters -= size(forgotten)


def size(form: Compiled | None) -> int:
    return 100 if form is None else len(form.source)


def explained(schema: GraphQLSchema, document: DocumentNode, name: str | None, without: Sequence[str]) -> str:
    """The source of an operation, under the switches that are true unless they are `without`."""
    prepared = Prepared(document, name)
    if prepared.reason:
        return f"graphql-core executes it: {prepared.reason}."
    switches = VariableValues({}, {switch: switch not in without for switch in prepared.switches})
    try:
        return compile_operation(schema, document, prepared.node, switches, {}).source
    except TooLarge:
        return "graphql-core executes it: too large."
