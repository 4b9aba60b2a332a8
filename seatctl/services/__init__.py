"""The use cases, one file per noun: gather, decide, apply."""
