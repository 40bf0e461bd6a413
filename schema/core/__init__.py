"""Conventions of the API: errors, pagination, global ids, directives and enums."""
