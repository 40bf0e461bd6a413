"""Refusals of hostile requests, against a running service, and their effect on other clients."""
