"""The command line: parse, call a service or a query, emit. Holds no rule and no SQL."""
