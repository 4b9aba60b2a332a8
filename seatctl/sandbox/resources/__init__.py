"""The endpoints of the sandbox: one module for each Stripe resource."""
