"""The server side of the sandbox: routes, parameter checks, lists, errors."""
