"""HTTP below GraphQL: protocol, security headers, rate limits, admission, health and GraphiQL."""
