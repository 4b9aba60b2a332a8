"""The copy of a whole ledger to another place: from a file to a server, and back."""
