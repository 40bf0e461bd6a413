"""The types of the schema, one noun a file: its type, its edges and its resolvers."""
