"""Printing: tables, machine formats, styles, redaction."""
