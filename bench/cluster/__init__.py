"""Measure a Ray cluster."""
