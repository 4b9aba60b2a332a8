"""People: edit, import, remove, roles, permissions."""
