"""Accounts: authentication, sessions, passwords, keys, roles, the audit log and personal data."""
