"""Import of a member's history from other sites' files."""
