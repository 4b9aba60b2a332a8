"""The billing engine of the sandbox: periods, proration, invoicing, collection, dunning."""
