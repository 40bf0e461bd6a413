"""Measurements of the ways in: streams of events and loads of files."""
