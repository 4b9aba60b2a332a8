"""What is printed: tables, machine formats, styles, redaction."""
