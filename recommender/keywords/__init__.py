"""Selection of the keywords that a reason may name."""
