"""The lists served: record them with what they were computed from, and reproduce them."""
