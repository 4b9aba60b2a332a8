"""Files that are read: tables, columns, lines."""
