"""Members of other systems: merge them into accounts, and send ratings and events of many."""
