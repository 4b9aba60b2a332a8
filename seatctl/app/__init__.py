"""One invocation of the program: its context, connections, options, prompts and log."""
