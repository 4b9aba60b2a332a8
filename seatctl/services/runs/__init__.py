"""Runs: batches and undo."""
