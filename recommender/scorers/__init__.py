"""Scorers besides the hybrid, one in each file: what may be trained, served and compared in its place."""
