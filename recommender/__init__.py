"""Numerical code of the recommender: arrays in, arrays out, without SQL and web."""
