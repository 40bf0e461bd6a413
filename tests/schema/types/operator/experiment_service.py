"""A service in the process of the test, with experiments."""

from typing import Any

from app.accounts import authentication
from app.experiments.running import Running
from app.provenance.recorder import Recorder
from app.recommendations.shadow import Shadow
from app.settings import Settings
from app.web.client import Client
from schema import schema
from schema.execution.actor import Credentials
from schema.execution.context import Context

ARMS = [{"name": "plain", "share": 0.5}, {"name": "varied", "share": 0.5, "diversity": 0.7}]


class Service:
    """A service in this process. `send` executes an operation as a member, by username."""

    def __init__(self, settings: Settings, sessions: Any, served: Any, operations: dict[str, str]) -> None:
        self.settings, self.sessions, self.served = settings, sessions, served
        self.operations = operations
        self.recorder, self.running, self.shadow = Recorder(30), Running(), Shadow()
        self.tokens: dict[str, str] = {}

    def context(self, username: str | None) -> Context:
        token = None if username is None else self.tokens[username]
        credentials, client = Credentials(token), Client("192.0.2.1")
        context = Context(self.settings, self.sessions, self.served, credentials, client=client)
        context.recorder, context.running, context.shadow = self.recorder, self.running, self.shadow
        return context

    async def send(self, operation: str, username: str | None, **variables: Any) -> Any:
        document = self.operations.get(operation, operation)
        context = self.context(username)
        result = await schema.execute(document, variable_values=variables, context_value=context)
        assert result.errors is None, result.errors
        assert result.data is not None
        return next(iter(result.data.values()))

    async def sign_up(self, username: str) -> None:
        tokens = await authentication.sign_up(self.sessions, self.settings, username, "a long walk home")
        self.tokens[username] = tokens.access_token

    async def start(self, **given: Any) -> Any:
        started = await self.send("StartExperiment", "ada", input={"name": "variety", "arms": ARMS} | given)
        await self.running.read(self.sessions)
        return started
