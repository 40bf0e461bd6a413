"""Ingest Kafka topics as a member of a consumer group, with the offsets in Postgres.

Postgres, not the group, knows how far a partition is stored: an assigned partition is read from there on. The
offsets that are committed to the group are only for tools that show its lag.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from app.ingest.kafka_topics import RETRY_SECONDS, KafkaFailure, KafkaTopic, Stopping
from app.ingest.store_events import Store
from app.ingest.stream_events import MAX_LINE_BYTES
from app.ingest.stream_metrics import StreamMetrics
from app.ingest.stream_movies import Connection

BATCH_BYTES = 8 << 20
MESSAGES_AT_ONCE = 200  # a message may have a megabyte
WAIT_SECONDS = 0.5
REPORT_SECONDS = 10.0
ASK_SECONDS = 1.0  # for the end of a partition
CLOSE_SECONDS = 5.0  # in which the consumer leaves its group, which takes a broker
# Codes of errors after which the process must not go on. A topic that was deleted may be made again, with
# other events at the same positions.
FATAL = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)

log = logging.getLogger("marquee.kafka")


@dataclass(slots=True)
class Ingester:
    """Reads the assigned partitions of topics, and stores their events.

    `connect` opens a connection to Postgres in autocommit mode. While Postgres is unreachable, the partitions
    are paused, and the process remains in its group.
    """

    consumer: Consumer
    topics: dict[str, KafkaTopic]
    store: Store
    connect: Callable[[], Connection]
    stopping: threading.Event
    batch_lines: int = 10_000
    metrics: StreamMetrics = field(init=False)
    total: Counter[str] = field(default_factory=Counter)
    reported_at: float = field(default_factory=time.monotonic)
    reported: int = 0

    def __post_init__(self) -> None:
        self.metrics = StreamMetrics(self.topics)

    def run(self, *, to_end: bool = False) -> Counter[str]:
        """Ingest until `stopping` is set or, if `to_end`, all assigned partitions are at their end.

        Returns the counts by outcome. Raises KafkaFailure.
        """
        self.consumer.subscribe(
            list(self.topics), on_assign=self._assign, on_revoke=self._drop, on_lost=self._drop
        )
        try:
            while not self.stopping.is_set():
                self._read()
                for topic in self.topics.values():
                    if topic.is_ahead:
                        self._store(topic)
                self._report()
                if to_end and self._is_at_end():
                    break
        except Stopping:
            pass
        finally:
            self._close()
        return self.total

    def _close(self) -> None:
        """Leave the group, if a broker answers soon. Otherwise the group notices the absence.

        Without a broker, the consumer waits for its session's timeout, 45 seconds by default.
        """
        closing = threading.Thread(target=self.consumer.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            log.warning("no broker answers: the consumer ends without leaving its group")

    def _read(self) -> None:
        """Read a batch; less of one if no more events are there."""
        wait = WAIT_SECONDS
        while not self.stopping.is_set():
            messages = self.consumer.consume(min(MESSAGES_AT_ONCE, self.batch_lines), wait)
            for message in messages:
                self._take(message)
            topics = self.topics.values()
            if (
                len(messages) < min(MESSAGES_AT_ONCE, self.batch_lines)
                or sum(len(topic.lines) for topic in topics) + MESSAGES_AT_ONCE > self.batch_lines
                or sum(topic.size for topic in topics) >= BATCH_BYTES
            ):
                return
            wait = 0

    def _take(self, message: Message) -> None:
        """Add a message to the lines of its topic, or note the end of its partition."""
        name, partition, offset = message.topic(), message.partition(), message.offset()
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            self._complain(error, name, partition)
            return
        assert name is not None
        assert partition is not None
        assert offset is not None
        topic = self.topics[name]
        if error is not None:
            topic.reach_end(partition, offset)
        else:
            at = message.timestamp()[1] / 1000  # 0 or less for a message without a time
            value = message.value() or b""
            topic.add(partition, offset, value[: MAX_LINE_BYTES + 1], at if at > 0 else time.time())

    def _complain(self, error: KafkaError, name: str | None, partition: int | None) -> None:
        """Log an error from which the consumer recovers; raise KafkaFailure for another."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
            raise KafkaFailure(
                f"Partition {partition} of {name} no longer has the events after the stored position: they "
                f"were deleted before they were read. To continue with the oldest event, delete the row of "
                f"partition {partition} from stream_positions."
            )
        if error.fatal() or error.code() in FATAL:
            raise KafkaFailure(f"Kafka ended the reading of {name}: {error.str()}.")
        log.warning("Kafka: %s", error.str())

    def _store(self, topic: KafkaTopic) -> None:
        """Store what was read of a topic. Hold the partitions while Postgres is unreachable."""
        while True:
            self._find_ends(topic)
            batch = topic.batch()
            began = time.monotonic()
            try:
                counts = self.store.store(topic.stream, batch)
                break
            except psycopg.OperationalError as error:
                self._hold(error)
        self._release()
        topic.finish(batch)
        self.total += counts
        self.metrics.observe(topic.stream.name, counts, time.monotonic() - began)
        offsets = [TopicPartition(topic.name, *place) for place in batch.nexts.items()]
        with suppress(KafkaException):  # the group's offsets are only for tools
            self.consumer.commit(offsets=offsets, asynchronous=True)

    def _find_ends(self, topic: KafkaTopic) -> None:
        """Note the ends of the partitions, as the last answer of a broker had them."""
        for partition, position in topic.nexts.items():
            place = TopicPartition(topic.name, partition)
            watermarks = self.consumer.get_watermark_offsets(place, cached=True)
            topic.ends[partition] = max(watermarks[1] if watermarks else 0, position)

    def _hold(self, error: psycopg.OperationalError) -> None:
        """Pause the partitions, wait, and connect again. Raises Stopping.

        Polling keeps the process in its group. Messages of partitions that were assigned meanwhile are kept.
        """
        if not self.metrics.is_held:
            log.warning("cannot store events (%s); the partitions are paused", str(error).strip())
            self.consumer.pause(self.consumer.assignment())
            self.metrics.is_held = True
        end = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < end:
            if self.stopping.is_set():
                raise Stopping
            message = self.consumer.poll(RETRY_SECONDS / 5)
            if message is not None:
                self._take(message)
        self.reconnect()

    def _release(self) -> None:
        if self.metrics.is_held:
            log.info("storing events again")
            self.consumer.resume(self.consumer.assignment())
            self.metrics.is_held = False

    def reconnect(self) -> None:
        """Open a new connection if Postgres is reachable, and remains so until the store is ready."""
        with suppress(psycopg.OperationalError):
            connection = self.connect()
            try:
                store = Store(connection, self.store.settings, self.store.movies)
            except psycopg.OperationalError:
                connection.close()
                raise
            self.store.connection.close()
            self.store = store

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Read the assigned partitions from their stored positions on. Raises Stopping."""
        for name, topic in self.topics.items():
            assigned = [each for each in partitions if each.topic == name]
            stored = self._stored(topic.stream.name)
            for each in assigned:
                each.offset = stored.get(each.partition, OFFSET_BEGINNING)
                topic.start(each.partition, stored.get(each.partition, 0))
        consumer.assign(partitions)
        if self.metrics.is_held:
            consumer.pause(partitions)
        log.info("reading %d partitions", len(partitions))

    def _stored(self, stream: str) -> dict[int, int]:
        while True:
            try:
                return self.store.positions(stream)
            except psycopg.OperationalError as error:
                log.warning("cannot read the positions (%s); retrying", str(error).strip())
                if self.stopping.wait(RETRY_SECONDS):
                    raise Stopping from None
                self.reconnect()

    def _drop(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget partitions that another process reads now, with what was read of them."""
        for each in partitions:
            self.topics[each.topic].drop(each.partition)

    def _is_at_end(self) -> bool:
        assigned = self.consumer.assignment()
        return bool(assigned) and all(each.partition in self.topics[each.topic].at_end for each in assigned)

    def _report(self) -> None:
        """Log the rate and the lag, at most every REPORT_SECONDS."""
        now = time.monotonic()
        if now < self.reported_at + REPORT_SECONDS:
            return
        self._ask()
        events = self.total.total()
        rate = (events - self.reported) / (now - self.reported_at)
        log.info("%d events/s, lag %d", rate, sum(topic.lag() for topic in self.topics.values()))
        self.reported_at, self.reported = now, events

    def _ask(self) -> None:
        """Ask the broker for the ends of the partitions. If it answers that no event waits, all is well."""
        try:
            for topic in self.topics.values():
                for partition in list(topic.stored):
                    place = TopicPartition(topic.name, partition)
                    watermarks = self.consumer.get_watermark_offsets(place, ASK_SECONDS, cached=False)
                    topic.ends[partition] = watermarks[1]
            if not any(topic.stored for topic in self.topics.values()):  # other processes have them all
                self.consumer.list_topics(next(iter(self.topics)), ASK_SECONDS)
        except KafkaException as error:
            log.warning("no broker answers: %s", error.args[0].str())
            return
        if not any(topic.lag() for topic in self.topics.values()):
            self.metrics.well_at = time.monotonic()
