"""seatctl: buy seat subscriptions through Stripe and decide who gets a seat.

Nothing is imported here: the start-up time of every command begins with this file.
"""

__version__ = "0.1.0"
