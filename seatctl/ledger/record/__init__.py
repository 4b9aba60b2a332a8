"""The record: audit, runs, batches, erasure."""
