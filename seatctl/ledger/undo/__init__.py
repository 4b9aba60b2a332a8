"""Undoing a run: what may be taken back, and taking it back."""
