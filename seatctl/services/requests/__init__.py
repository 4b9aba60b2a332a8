"""Requests for seats: create, decide, approve automatically."""
