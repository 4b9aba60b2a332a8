"""Whether a ledger is whole: its tables, its contents, and its facts against their audit."""
