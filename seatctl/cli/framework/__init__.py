"""The command tree on Typer: the only importer of Typer."""
