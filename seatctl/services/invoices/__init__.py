"""Invoices: shown, paid, sent, voided."""
