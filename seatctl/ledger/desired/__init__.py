"""Bulk state: what a file wants, compared with what is, and written."""
