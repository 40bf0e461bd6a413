"""Settings from the environment. docs/settings.md lists all of them; a test compares the two."""

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
from pydantic_settings import SettingsConfigDict

from app.settings.accounts import AccountSettings
from app.settings.replicas import ReplicaSettings
from app.settings.secret_files import with_secret_files
from app.settings.streams import StreamSettings
from recommender.scorers.names import Kind

MIN_SECRET_KEY_LENGTH = 32
LISTS = ("trusted_proxies", "allowed_origins")
# Settings that are or may contain secrets. Each can be in a file instead.
SECRETS = (
    *("database_url", "direct_database_url", "database_read_url"),
    *("secret_key", "redis_url", "mlflow_tracking_uri"),
)


class Settings(AccountSettings, ReplicaSettings, StreamSettings):
    """Immutable settings, read once at start-up. An invalid value fails with its name and rule."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on")
    database_url: str | None = Field(
        None,
        description="`postgresql://…` of a Postgres 15+ with pgvector, also with several hosts, where one "
        "writes: `postgresql://…@host-1:5432,host-2:5432/marquee`; without it an embedded one is started",
    )
    direct_database_url: str | None = Field(
        None,
        description="URL of the same database that bypasses a transaction pooler, for all that needs a "
        "session: `LISTEN`, locks, batches, training and the commands",
    )
    data_dir: Path = Field(
        Path(".data"), description="folder of the embedded database, downloads, models and the local secret"
    )
    model_dir: Path | None = Field(None, description="folder of trained models; default `DATA_DIR/models`")
    secret_key: SecretStr | None = Field(
        None,
        description="signs access tokens, at least 32 characters; required with `DATABASE_URL`, else "
        "generated and kept in `DATA_DIR`",
    )
    database_pool_size: PositiveInt = Field(
        10,
        description="database connections that a process keeps open for transactions, and as many for reads",
    )
    database_prepared_statements: bool = Field(
        True,
        description="`false` behind a transaction pooler that does not keep them: a pgbouncer older than "
        "1.21, or with `max_prepared_statements = 0`",
    )
    statement_timeout_ms: PositiveInt = Field(
        10_000, description="maximum duration of a statement of a request"
    )
    poll_seconds: PositiveFloat = Field(
        0.5, description="interval at which a process checks for a newly activated model or changed movies"
    )
    learning_seconds: NonNegativeFloat = Field(
        30.0, description="minimum interval between online updates of the model"
    )
    sentence_model: Path | None = Field(
        None,
        description="folder of a Model2Vec sentence-embedding model for training (extra `embeddings`)",
    )
    content_attributes: str = Field("", description="comma-separated attributes of movies that are features")
    training_model: Kind = Field(
        "hybrid", description="the kind of model that a training makes: see [models.md](models.md)"
    )
    training_gate: bool = Field(
        True,
        description="activate a trained model only if it is no worse than the active one; `false`: always",
    )
    training_hours: NonNegativeFloat = Field(
        0.0, description="hours after a training at which the next one begins by itself; `0`: never"
    )
    training_new_ratings: NonNegativeInt = Field(
        0, description="new ratings since a training at which the next one begins by itself; `0`: never"
    )
    training_settings: Path | None = Field(
        None, description="settings file of `marquee tune` for training; default: the built-in settings"
    )
    mlflow_tracking_uri: str | None = Field(
        None, description="MLflow server to which trainings are mirrored as runs (extra `mlflow`)"
    )
    kept_models: NonNegativeInt = Field(3, description="inactive models kept on disk for rollback")
    served_list_days: NonNegativeInt = Field(
        30,
        description="days for which served lists and what they were computed from are kept, for "
        "`marquee trace`; `0` records none",
    )
    training_stale_seconds: PositiveFloat = Field(
        30.0, description="time without a heartbeat after which another process takes over a training"
    )
    cache_seconds: NonNegativeInt = Field(
        60, description="how long shared caches may keep a signed-out response to a GET; `0` disables it"
    )
    compression: bool = Field(
        True, description="compress responses as `Accept-Encoding` allows; `false` where a proxy does it"
    )
    compiled_operations: bool = Field(
        True,
        description="execute operations that are asked for again by compiled functions, with the "
        "same answers; `false`: always by graphql-core",
    )
    trusted_documents: Path | None = Field(
        None,
        description="JSON file of documents by id, or an Apollo manifest; other documents are then refused",
    )
    production: bool = Field(
        False,
        description='production mode: disables introspection, "did you mean" suggestions, GraphiQL and the '
        "demo account",
    )
    introspection: bool | None = Field(
        None, description="allow introspection; default: not with `PRODUCTION`"
    )
    suggestions: bool | None = Field(
        None, description="suggest similar names for unknown ones; default: not with `PRODUCTION`"
    )
    max_cost: PositiveInt = Field(10_000, description="maximum cost of an operation, as in `extensions.cost`")
    max_depth: PositiveInt = Field(15, description="maximum depth of fields in a document")
    max_aliases: NonNegativeInt = Field(
        100, description="maximum aliases in an operation, including its fragments"
    )
    max_tokens: PositiveInt = Field(
        1_000,
        description="maximum tokens of a document, and of what its operations select, including fragments",
    )
    max_document_characters: PositiveInt = Field(20_000, description="maximum length of a document")
    max_fragments: NonNegativeInt = Field(60, description="maximum fragments of a document")
    max_repeated_fields: NonNegativeInt = Field(
        1_000,
        description="maximum pairs of same-named fields in one selection (bounds the cost of validation)",
    )
    max_body_bytes: PositiveInt = Field(
        3_500_000, description="maximum length of a request's body, or of a websocket message"
    )
    max_json_depth: PositiveInt = Field(
        32, description="maximum nesting of lists and objects in a request's JSON"
    )
    max_json_values: PositiveInt = Field(
        60_000, description="maximum values in the lists and objects of a request's JSON"
    )
    request_seconds: PositiveFloat = Field(
        10.0,
        description="maximum time for a request to arrive, and for a client to read more of its response",
    )
    execution_seconds: PositiveFloat = Field(
        10.0,
        description="maximum duration of a query or mutation, which is then cancelled, in the database too",
    )
    export_seconds: PositiveFloat = Field(
        300.0, description="maximum time to make `exportMyData`, and again to send it"
    )
    drain_seconds: NonNegativeFloat = Field(
        0.0,
        description="how long a process that stops still accepts requests while `/readyz` fails, for a "
        "balancer to notice; `0` behind none",
    )
    max_operations_at_once: PositiveInt = Field(
        100, description="concurrent operations of a process; fewer while it is overloaded"
    )
    max_connections: PositiveInt = Field(
        1_000, description="concurrent connections of a process; beyond it, only health checks are answered"
    )
    max_connections_per_address: PositiveInt = Field(
        250, description="concurrent connections of an address, except for trusted proxies"
    )
    requests_per_minute: NonNegativeInt = Field(
        6_000, description="requests per address and minute; `0` disables the limit"
    )
    operations_per_minute: NonNegativeInt = Field(
        3_000,
        description="operations per member, key or signed-out address, per minute; `0` disables the limit",
    )
    cost_per_minute: NonNegativeInt = Field(
        300_000,
        description="query cost per member, key or signed-out address, per minute; `0` disables the limit",
    )
    key_operations_per_minute: NonNegativeInt = Field(
        60_000,
        description="operations of an API key per minute for all members it acts for together; `0` disables "
        "the limit",
    )
    key_cost_per_minute: NonNegativeInt = Field(
        6_000_000,
        description="query cost of an API key per minute for all members it acts for together; `0` disables "
        "the limit",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="`redis://…`, `redis+sentinel://…` or `redis+cluster://…` that shares rate limits "
        "between processes; without it each process counts its own",
    )
    trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="comma-separated addresses and networks whose `X-Forwarded-For` is trusted",
    )
    allowed_origins: str = Field(
        "",
        description="comma-separated origins whose pages may send requests, besides our own; `*` allows any",
    )
    allowed_hosts: str = Field(
        "*", description="comma-separated host names of the service; `*.example.com` allows any subdomain"
    )
    public_url: Annotated[str, Field(pattern="^(https?://[^?#]+)?$")] = Field(
        "", description="URL of the service that begins the `posterUrl` of drawn posters; unset: a path"
    )
    graphiql: bool | None = Field(
        None, description="serve the GraphiQL explorer at `/graphql`; default: not with `PRODUCTION`"
    )
    web: bool = Field(True, description="serve the web app at `/`; `false`: only the API")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["text", "json"] = Field("text", description="`text`, or `json` for one object a line")
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="port of `/metrics` for Prometheus, one for each process; unset: not served",
    )
    metrics_host: str = Field("127.0.0.1", description="address on which `METRICS_PORT` listens")
    otel_exporter_otlp_endpoint: Annotated[str, Field(pattern="^https?://")] | None = Field(
        None,
        description="URL of an OpenTelemetry collector for traces (extra `otel`); unset: no traces. Other "
        "`OTEL_` variables are read by the SDK",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_empty_for_unset(cls, values: dict[str, object]) -> dict[str, object]:
        """Treat '' as unset, since deployments pass unset variables as ''. In a list, '' means none."""
        values = {name: value for name, value in values.items() if value != "" or name in LISTS}
        return with_secret_files(values, SECRETS)

    @model_validator(mode="after")
    def _check_required_settings(self) -> "Settings":
        if self.database_read_url is not None and self.database_url is None:
            raise ValueError("DATABASE_URL must be set when DATABASE_READ_URL is set")
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
        """Whether the demo account, whose password is public, may exist: only on loopback."""
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
