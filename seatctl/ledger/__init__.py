"""All SQL of the ledger. No sqlite3 or sqlite-utils object leaves this package."""
