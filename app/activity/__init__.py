"""Activity of members: ratings, events and history."""
