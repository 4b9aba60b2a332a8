"""What one invocation of the program has: its context, connections, options, prompts, log."""
