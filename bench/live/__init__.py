"""A live system on one machine: Kafka, an ingester, the service and Prometheus, with a simulated stream."""
