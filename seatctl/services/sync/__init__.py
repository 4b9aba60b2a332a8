"""Reading Stripe, storing the mirror, applying it to facts."""
