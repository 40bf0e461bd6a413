"""GraphQL over HTTP: the endpoint, content negotiation, persisted documents, event streams and websockets."""
