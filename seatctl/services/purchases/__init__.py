"""Buying a subscription, by card or by Checkout."""
