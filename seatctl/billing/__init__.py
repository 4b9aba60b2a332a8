"""The Stripe port and its one implementation over the official SDK."""
