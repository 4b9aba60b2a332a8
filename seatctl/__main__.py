"""Where the program begins: nothing is loaded here before Ctrl-C is looked after.

`from __future__ import annotations` is left out, as it is an import too; what runs is in `cli/program.py`.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INTERRUPTED = 130


def main(argv: "Sequence[str] | None" = None, environment: "Mapping[str, str] | None" = None) -> int:
    """Run one command line and return its exit code; results on stdout, everything else on stderr."""
    try:
        from seatctl.cli.program import main as whole
    except KeyboardInterrupt:
        return _INTERRUPTED
    return whole(argv, environment)


def run() -> None:
    """The console script."""
    import gc

    try:
        code = _run()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    # Python looks for garbage twice more when it ends, among all that was ever loaded: a fifth of a check's
    # processor time. What is frozen is not looked at; files are closed and exit handlers run as ever.
    gc.freeze()
    sys.exit(code)


def _run() -> int:
    import gc
    import os
    import signal

    # Loading a command makes some 25,000 objects that all stay; with its usual threshold of 700 the
    # garbage collector looks through them 36 times, which is 5 ms of 70.
    gc.set_threshold(50_000)
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler:  # a job in the background, which Ctrl-C is not for
        return main()
    # An exception in the middle of an import may end up in a callback of Python's own, which prints it.
    # Nothing is begun before everything is loaded, so that the process can end on the spot.
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from seatctl.cli.program import main as whole

    return whole(loaded=lambda: signal.signal(signal.SIGINT, usual))


if __name__ == "__main__":
    run()
