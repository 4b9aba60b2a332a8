"""A twin of Stripe: the endpoints that seatctl calls, over a SQLite file; see docs/sandbox.md."""
