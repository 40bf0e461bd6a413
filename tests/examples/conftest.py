"""Fixtures of tests of the examples: those that send operations to a real service."""

from tests.schema.conftest import ask, http, operations

__all__ = ["ask", "http", "operations"]
