"""Commands of operators: migrate, settings, dump, restore and trace."""
