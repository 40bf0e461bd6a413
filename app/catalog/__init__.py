"""The catalog: browse, search, edit and validate movies."""
