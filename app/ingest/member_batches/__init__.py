"""Batches of ratings or events that a service sends for many of its members."""
