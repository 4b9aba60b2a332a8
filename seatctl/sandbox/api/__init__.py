"""The API of the sandbox: server, routes, parameter checks, `expand`, and what `seatctl sandbox` does."""
