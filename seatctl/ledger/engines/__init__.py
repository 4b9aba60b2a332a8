"""Database engines behind the ledger, and the files of the SQLite one."""
