"""Tables, triggers and migrations."""
