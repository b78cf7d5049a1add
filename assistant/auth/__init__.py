"""Logins, admins, passwords and pseudonyms."""
