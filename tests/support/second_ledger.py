"""Another ledger on the same Stripe account: the profile's sandbox, a ledger of its own."""

from __future__ import annotations

from tests.support import ledgers


class SecondLedger:
    """Runs `seatctl` with another ledger; everything else is the first one's."""

    def __init__(self, seatctl, name: str = "second") -> None:
        self.seatctl = seatctl
        self.place = ledgers.new_place(seatctl.home, name)
        made = self("init", "--no-input", "--actor", "ann@example.com")
        assert made.code == 0, made.err

    @property
    def environment(self) -> dict[str, str]:
        return {"SEATCTL_LEDGER": getattr(self.place, "secret", str(self.place))}

    def __call__(self, *argv, **options):
        return self.seatctl(*argv, env=self.environment, **options)

    def rows(self, *argv):
        result = self(*argv, "-o", "json")
        assert result.code == 0, result.err
        return result.rows
