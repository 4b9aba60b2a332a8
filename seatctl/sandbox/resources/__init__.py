"""One module per Stripe resource: its endpoints."""
