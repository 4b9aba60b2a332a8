"""Changes of a running subscription: proposal, seats and plan, renewal, cancellation, billing."""
