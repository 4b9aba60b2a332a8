"""Plans: spec, edits, operations, TOML files."""
