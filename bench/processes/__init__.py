"""Processes that benchmarks and tests start: Postgres, Kafka, the service."""
