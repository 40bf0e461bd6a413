"""Topics of Kafka: their streams, and how far this process has read them."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from app.ingest.clean_events import Batch, Line, Stream

RETRY_SECONDS = 1.0
REQUEST_SECONDS = 10.0
# Set by us: the guarantees depend on them, or a batch's memory does.
OWN_PROPERTIES: dict[str, str | int | bool] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "partition.assignment.strategy": "range,roundrobin",
    "queued.max.messages.kbytes": 32_768,
}

DEFAULTS = {"reconnect.backoff.ms": "1000"}  # without it, each attempt to reach a broker is logged at once
REFUSALS = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,  # noqa: SLF001 - its public name
    KafkaError.TOPIC_EXCEPTION,  # an invalid name
)

log = logging.getLogger("marquee.kafka")


class KafkaFailure(Exception):
    """An error that a retry does not mend; the message has a remedy."""


class Stopping(Exception):
    """The process is asked to stop while it waits."""


@dataclass(slots=True)
class KafkaTopic:
    """A topic, and how far its partitions that are assigned to this process are read.

    `lines` are read and not stored. `nexts` are positions after the last event read, and `stored` those in
    Postgres. `ends` are the ends of the partitions, and `at_end` those of them that are reached.
    `waiting_at` are the times of the oldest events read that are not stored, and `read_at` those of the last
    events read: in Unix seconds, as the broker has them.
    """

    name: str
    stream: Stream
    lines: list[Line] = field(default_factory=list)
    size: int = 0
    nexts: dict[int, int] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    at_end: set[int] = field(default_factory=set)
    waiting_at: dict[int, float] = field(default_factory=dict)
    read_at: dict[int, float] = field(default_factory=dict)

    @property
    def is_ahead(self) -> bool:
        """Whether positions or lines were read that are not stored."""
        return bool(self.lines) or self.nexts != self.stored

    def batch(self) -> Batch:
        return Batch(list(self.lines), dict(self.nexts), dict(self.ends))

    def add(self, partition: int, offset: int, text: bytes, at: float) -> None:
        """Add an event that was read, unless it was read before or its partition is no longer assigned.

        `at`: its time, in Unix seconds.

        A consumer may return events of a partition after the call that took it away.
        """
        if partition not in self.stored or offset < self.nexts[partition]:
            return
        self.lines.append(Line(partition, offset, text))
        self.size += len(text)
        self.nexts[partition] = offset + 1
        self.waiting_at.setdefault(partition, at)
        self.read_at[partition] = at
        self.at_end.discard(partition)

    def reach_end(self, partition: int, offset: int) -> None:
        """Note that a partition is read to its end, which may be behind the markers of transactions."""
        if partition not in self.stored:
            return
        self.at_end.add(partition)
        self.nexts[partition] = max(offset, self.nexts[partition])

    def start(self, partition: int, stored: int) -> None:
        """Note that a partition is assigned to this process, and stored up to this position."""
        self.drop(partition)
        self.stored[partition] = self.nexts[partition] = stored

    def drop(self, partition: int) -> None:
        """Forget a partition, with what was read of it and is not stored."""
        self.lines = [line for line in self.lines if line.partition != partition]
        self.size = sum(len(line.text) for line in self.lines)
        for positions in (self.nexts, self.stored, self.ends):
            positions.pop(partition, None)
        for times in (self.waiting_at, self.read_at):
            times.pop(partition, None)
        self.at_end.discard(partition)

    def finish(self, batch: Batch) -> None:
        """Note that all that was read is stored."""
        self.lines, self.size, self.stored = [], 0, dict(batch.nexts)
        self.waiting_at.clear()

    def lag(self) -> int:
        """The number of events of the assigned partitions that are not stored, as far as it is known."""
        return sum(self.lag_of(partition) or 0 for partition in self.ends)

    def lag_of(self, partition: int) -> int | None:
        """The lag of a partition; None if its end is not known."""
        end, stored = self.ends.get(partition), self.stored.get(partition)
        return None if end is None or stored is None else max(0, end - stored)

    def behind(self, partition: int, now: float) -> float | None:
        """For how many seconds the oldest event waits that is not stored; 0 if none waits.

        It counts from the last event before it if it is not read yet. None if no event is known.
        """
        if self.lag_of(partition) == 0:
            return 0.0
        at = self.waiting_at.get(partition, self.read_at.get(partition))
        return None if at is None else max(0.0, now - at)


def read_topics(
    brokers: Mapping[str, str], names: Sequence[str], source: str | None, stopping: threading.Event
) -> dict[str, KafkaTopic]:
    """The topics by name, once all of them exist. Raises KafkaFailure or Stopping.

    A topic that is deleted and made again has another id, and is another stream.
    """
    admin = AdminClient({**DEFAULTS, **brokers}, logger=log)
    while True:
        found = admin.describe_topics(TopicCollection(list(names)), request_timeout=REQUEST_SECONDS)
        try:
            return {
                name: KafkaTopic(
                    name, Stream(f"kafka:{name}@{found[name].result().topic_id}", source or name)
                )
                for name in names
            }
        except KafkaException as error:
            if error.args[0].code() in REFUSALS:
                raise KafkaFailure(
                    f"Kafka refuses the topics {', '.join(names)}: {error.args[0].str()}"
                ) from None
            log.warning("waiting for the topics %s: %s", ", ".join(names), error.args[0].str())
        if stopping.wait(RETRY_SECONDS):
            raise Stopping


def consumer_of(properties: Mapping[str, str], group: str) -> Consumer:
    """A consumer with these properties of librdkafka, and our own. Raises KafkaFailure."""
    if taken := sorted(OWN_PROPERTIES.keys() & properties.keys()):
        raise KafkaFailure(f"These properties cannot be changed: {', '.join(taken)}.")
    try:
        return Consumer({**DEFAULTS, **properties, **OWN_PROPERTIES, "group.id": group}, logger=log)
    except KafkaException as error:
        raise KafkaFailure(f"Invalid property: {error.args[0].str()}") from None
