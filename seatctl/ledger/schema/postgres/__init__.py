"""The schema of a ledger on PostgreSQL: tables, functions, guards, and their creation."""
