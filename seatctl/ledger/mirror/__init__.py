"""What Stripe said, kept in the ledger."""
