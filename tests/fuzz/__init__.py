"""Inputs that nobody would type, given to every parser of the program in this process.

`python -m tests.fuzz` runs many of them; tests/fuzz/test_fuzz.py a few of each, with fixed seeds.
"""
