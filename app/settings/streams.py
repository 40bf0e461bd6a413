"""Settings of event streams, which `app.settings` includes."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings

Fraction = Annotated[float, Field(gt=0, le=1)]
Stars = Annotated[float, Field(ge=0.5, le=5, multiple_of=0.5)]


class StreamSettings(BaseSettings):
    kafka_brokers: str | None = Field(
        None, description="comma-separated `host:port` of Kafka brokers, for `marquee ingest kafka`"
    )
    kafka_properties: Path | None = Field(
        None,
        description="file of further properties of librdkafka, such as passwords, as lines of `name=value`",
    )
    watch_finished_fraction: Fraction = Field(
        0.9,
        description="watched fraction of a movie, in a stream, from which it counts as finished; the credits "
        "are up to a tenth",
    )
    watch_finished_stars: Stars = Field(
        4.0, description="implicit rating of a finished movie, which is the usual rating of chosen movies"
    )
    watch_most_fraction: Fraction = Field(
        0.5,
        description="watched fraction from which a movie counts as mostly watched; who dislikes a movie "
        "stops before its middle",
    )
    watch_most_stars: Stars = Field(
        3.5, description="implicit rating of a mostly watched movie; less of a movie gives no rating"
    )
    dead_letter_days: PositiveInt = Field(
        30, description="days for which refused events of streams are kept, which may contain personal data"
    )
    max_dead_letters: PositiveInt = Field(
        1_000_000, description="refused events of streams that are kept; beyond it the oldest are deleted"
    )
