"""Writes to Stripe that cannot be doubled: submit, steps, handlers, recovery."""
