"""Settings from the environment. Every one of them is listed in the README; a test holds the two together."""

from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_KEY_LENGTH = 32
LISTS = ("trusted_proxies", "allowed_origins")


class Settings(BaseSettings):
    """One frozen object, read once at start-up; an invalid value stops the start with its name and rule."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on")
    database_url: str | None = Field(
        None,
        description="`postgresql://…` of a Postgres 15+ with pgvector; without it an embedded one is started",
    )
    direct_database_url: str | None = Field(
        None, description="the same database past a pooler of transactions, to hear of changes"
    )
    data_dir: Path = Field(
        Path(".data"), description="folder of the embedded database, downloads, models and the local secret"
    )
    model_dir: Path | None = Field(None, description="folder of trained models; default `DATA_DIR/models`")
    secret_key: SecretStr | None = Field(
        None,
        description="signs access tokens, 32 characters or more; needed with `DATABASE_URL`, "
        "else made and kept in `DATA_DIR`",
    )
    access_token_seconds: PositiveInt = Field(900, description="life of an access token")
    refresh_token_days: PositiveInt = Field(30, description="life of a refresh token that is not used")
    refresh_overlap_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        30.0,
        description="how long a replaced refresh token works again, for tabs that renew at once and lost "
        "answers; `0` is not at all",
    )
    sign_in_tries: PositiveInt = Field(
        5, description="wrong passwords for an account from an address, then one each 30 seconds"
    )
    sign_in_tries_per_address: PositiveInt = Field(
        50, description="wrong passwords from an address for all accounts, then one each 6 seconds"
    )
    database_pool_size: PositiveInt = Field(10, description="database connections a process keeps")
    database_prepared_statements: bool = Field(True, description="`false` behind a pgbouncer older than 1.21")
    statement_timeout_ms: PositiveInt = Field(10_000, description="longest a statement of a request may take")
    poll_seconds: PositiveFloat = Field(
        0.5, description="how often a process looks for a newly activated model or changed movies"
    )
    learning_seconds: NonNegativeFloat = Field(
        30.0, description="shortest time between two moves of movies by the ratings that arrive"
    )
    sentence_model: Path | None = Field(
        None,
        description="folder of a Model2Vec sentence-embedding model that training uses (extra `embeddings`)",
    )
    training_settings: Path | None = Field(
        None, description="settings file of `marquee tune` that training uses; without it the defaults"
    )
    kept_models: NonNegativeInt = Field(
        3, description="trained models whose files are kept besides the active one, to go back to"
    )
    training_stale_seconds: PositiveFloat = Field(
        30.0, description="after which a training without a sign of life is taken over by another process"
    )
    cache_seconds: NonNegativeInt = Field(
        60, description="how long shared caches may keep a signed-out answer to a GET; `0` is not at all"
    )
    compression: bool = Field(
        True, description="compress answers as `Accept-Encoding` says; `false` where a proxy does it"
    )
    trusted_documents: Path | None = Field(
        None, description="JSON file of documents by id, or Apollo's manifest: no others are answered then"
    )
    production: bool = Field(
        False,
        description="production mode: no introspection, suggestions of names, GraphiQL or demo account",
    )
    introspection: bool | None = Field(
        None, description="answer what the schema is like; default: not with `PRODUCTION`"
    )
    suggestions: bool | None = Field(
        None, description="tell which name was meant by an unknown one; default: not with `PRODUCTION`"
    )
    max_cost: PositiveInt = Field(
        10_000, description="most an operation may cost, as `extensions.cost` tells it"
    )
    max_depth: PositiveInt = Field(15, description="levels of fields in a document")
    max_aliases: NonNegativeInt = Field(100, description="aliases in an operation, with its fragments")
    max_tokens: PositiveInt = Field(
        1_000, description="tokens of a document, also of what its operations select, with fragments"
    )
    max_document_characters: PositiveInt = Field(20_000, description="length of a document")
    max_fragments: NonNegativeInt = Field(60, description="fragments of a document")
    max_repeated_fields: NonNegativeInt = Field(
        1_000, description="pairs of one name selected for one object; validation compares them all"
    )
    max_body_bytes: PositiveInt = Field(
        3_500_000, description="length of a request's body, or of a message over a websocket"
    )
    max_json_depth: PositiveInt = Field(32, description="levels of lists and objects in a request's JSON")
    max_json_values: PositiveInt = Field(
        20_000, description="values in the lists and objects of a request's JSON"
    )
    request_seconds: PositiveFloat = Field(
        10.0, description="longest a request may take to arrive, and a client to read on"
    )
    execution_seconds: PositiveFloat = Field(
        10.0, description="longest a query or mutation may take; then it is stopped, in the database too"
    )
    export_seconds: PositiveFloat = Field(
        300.0, description="longest `exportMyData` may take to be made, and again to be sent"
    )
    max_operations_at_once: PositiveInt = Field(
        100, description="operations that run at once in a process; fewer while it is overloaded"
    )
    max_connections: PositiveInt = Field(
        1_000, description="connections at once in a process; beyond, only health is answered"
    )
    max_connections_per_address: PositiveInt = Field(
        250, description="connections at once from one address, unless it is a trusted proxy's"
    )
    requests_per_minute: NonNegativeInt = Field(
        6_000, description="requests from an address; `0` does not limit"
    )
    operations_per_minute: NonNegativeInt = Field(
        3_000, description="operations of a member, a key, or an address signed out; `0` does not limit"
    )
    cost_per_minute: NonNegativeInt = Field(
        300_000, description="cost of the operations of the same; `0` does not limit"
    )
    redis_url: SecretStr | None = Field(
        None, description="`redis://…` holds rate limits across processes; without it each counts for itself"
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1", description="addresses and networks, by commas, whose `X-Forwarded-For` is believed"
    )
    allowed_origins: str = Field(
        "", description="origins, by commas, whose pages may ask besides our own; `*` is any"
    )
    allowed_hosts: str = Field(
        "*", description="names, by commas, under which the service is asked; `*.example.com` is any below"
    )
    graphiql: bool | None = Field(
        None, description="serve the GraphiQL explorer at `/graphql`; default: not with `PRODUCTION`"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )

    @model_validator(mode="before")
    @classmethod
    def _take_empty_for_unset(cls, values: dict[str, object]) -> dict[str, object]:
        """A deployment passes on what it does not set as ''; in a list, '' is a value: nobody."""
        return {name: value for name, value in values.items() if value != "" or name in LISTS}

    @model_validator(mode="after")
    def _require_a_strong_secret(self) -> "Settings":
        if self.secret_key is None:
            if self.database_url is not None:
                raise ValueError("SECRET_KEY must be set when DATABASE_URL is set")
        elif len(self.secret_key.get_secret_value()) < MIN_SECRET_KEY_LENGTH:
            raise ValueError(f"SECRET_KEY must have at least {MIN_SECRET_KEY_LENGTH} characters")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _require_networks(cls, value: str) -> str:
        for part in filter(None, map(str.strip, value.split(","))):
            ip_network(part, strict=False)
        return value

    @property
    def introspected(self) -> bool:
        return not self.production if self.introspection is None else self.introspection

    @property
    def has_demo_account(self) -> bool:
        """Whether the account with the published password may exist: only for this machine."""
        return self.database_url is None and not self.production and self._is_loopback

    @property
    def _is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def explored(self) -> bool:
        """Whether GraphiQL is served."""
        return not self.production if self.graphiql is None else self.graphiql

    @property
    def suggested(self) -> bool:
        return not self.production if self.suggestions is None else self.suggestions

    @cached_property
    def models(self) -> Path:
        return (self.model_dir or self.data_dir / "models").resolve()
