"""A Stripe twin inside the process: the endpoints that seatctl calls, over a SQLite file of its own."""
