"""One request: context, loaders, permissions, documents, limits, cost and the executor."""
