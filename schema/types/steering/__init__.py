"""Steering of lists: the subjects of promotions and preferences, and members' preferences."""
