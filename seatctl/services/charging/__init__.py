"""Invoices of our own and how they are paid."""
