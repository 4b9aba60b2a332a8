"""Seats: assign, move, claim, apply, and who is entitled."""
