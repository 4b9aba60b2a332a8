"""Settings, their file, secrets and the mail server."""
