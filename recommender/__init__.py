"""The numerics of recommendation: no web, no database, no files but the artifact."""
