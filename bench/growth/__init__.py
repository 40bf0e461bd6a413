"""Sizes and costs that grow with members, movies and events."""
