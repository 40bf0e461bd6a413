"""A cluster to train on and to compute lists on: Ray, an extra."""
