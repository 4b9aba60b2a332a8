"""A simulator in the manner of FoundationDB's and TigerBeetle's: one seed decides everything that happens.

`python -m tests.simulator --help` says how to run it. What may happen is in `actions.py`, what may go wrong
in `faults.py`, what must always hold in `invariants.py` and `money.py`.
"""
