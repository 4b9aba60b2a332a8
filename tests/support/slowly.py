"""`slowly.py SECONDS COMMAND…`: the program with that much longer calls to Stripe, for races."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from seatctl.__main__ import main
from tests.support.kill_at import count_points

if __name__ == "__main__":
    count_points(Path(os.devnull), None, pause=float(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
