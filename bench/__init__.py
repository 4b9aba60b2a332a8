"""The budgets of the program, measured as ratios within one run: `python -m bench --help`."""
