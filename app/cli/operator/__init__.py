"""Commands of operators: migrate, settings, dump, restore, trace and create-key."""
