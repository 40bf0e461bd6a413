"""HTTP below GraphQL: security headers, rate limits, admission, the protocol, health and GraphiQL."""
