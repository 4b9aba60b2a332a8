"""The operating system: files that are written, standard streams, and what it refuses."""
