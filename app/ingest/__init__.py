"""History and events from elsewhere."""
