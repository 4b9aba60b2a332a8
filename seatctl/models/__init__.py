"""Frozen values and enumerations, one file per noun. Imports only errors."""
