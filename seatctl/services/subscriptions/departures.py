"""The people who lose their seats when a subscription shrinks: at once, or when the paid term ends."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.ledger import departures, seats
from seatctl.ledger.incoming import staging
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.subscription import Subscription
from seatctl.services.subscriptions.finish import After
from seatctl.services.subscriptions.snapshot import TermPayload
from seatctl.services.users.people import People, stage

_NAMED = 3
"""How many addresses a summary lists; a row has all."""

_ASKED = 10
"""How many people are named before the question."""


@dataclass(frozen=True, slots=True)
class Departures:
    """The users who give up a seat: as requested, and as resolved."""

    users: tuple[int, ...] = ()
    """Their ids."""
    requested: tuple[str, ...] = ()
    """The rule or the addresses as given, so that a repetition is recognised even if users left meanwhile."""
    not_seated: tuple[str, ...] = ()
    """Addresses in the file without a seat in this subscription. They are reported: it may be a mistake."""
    emails: tuple[str, ...] = ()
    """The addresses of `users`, shown before the question."""

    @property
    def remark(self) -> str:
        """The end of a summary that lists people without a seat; empty if there are none."""
        if not self.not_seated:
            return ""
        named, more = self.not_seated[:_NAMED], len(self.not_seated) - _NAMED
        listed = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        return f"; {listed} {'has' if len(self.not_seated) == 1 else 'have'} no seat in it"

    @property
    def notes(self) -> tuple[str, ...]:
        """Who loses a seat, told before the question: a rule selected them, but a person answers for it."""
        named, more = self.emails[:_ASKED], len(self.emails) - _ASKED
        listed = ", ".join(named) + (f" and {more} more (--dry-run shows all)" if more > 0 else "")
        return (
            *((f"These people lose their seats: {listed}.",) if listed else ()),
            *((f"{self.remark.removeprefix('; ')}.",) if self.remark else ()),
        )

    @property
    def row_fields(self) -> dict[str, JsonValue]:
        """The fields of a row for them; empty if there are none."""
        lists = {"leaving_emails": self.emails, "not_seated": self.not_seated}
        return {key: [*emails] for key, emails in lists.items() if emails}


NO_DEPARTURES = Departures()


def departures_from_file(ledger: Ledger, subscription_id: int, source: str) -> Departures:
    """Return the people of a file (`-`: stdin): those with a seat in the subscription leave.

    Raises BadInput and `bad_rows`, also for a person whom the ledger does not know.
    """
    stage(ledger, People(source=source))
    with ledger.staging() as journal:
        staging.set_verdicts(journal)
        staging.refuse_bad_rows(journal, RowVerdict.UNKNOWN, "there is no user of this e-mail")
    with ledger.reading() as reader:
        staging.require_good(reader, skip_bad=False)
        users = departures.seated_in_file(reader, subscription_id)
        not_seated = departures.not_seated_in_file(reader, subscription_id)
        return Departures(users, departures.in_file(reader), not_seated, departures.emails(reader, users))


def apply_departures(payload: TermPayload, *, at_once: bool) -> After:
    """Return the `after` of the final transaction that ends the seats of the users who leave.

    Their seats end now if `at_once`, else with the paid term. If the next term has room again, people
    selected by an earlier decrease keep their seats, most recently selected first.
    """
    users, until = [*payload.leaving], payload.term_end
    fields: dict[str, JsonValue] = {"not_seated": [*payload.not_seated]} if payload.not_seated else {}

    def apply(tx: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        return {**fields, **revoke_or_end(tx, subscription)}

    def revoke_or_end(tx: Transaction, subscription: Subscription) -> dict[str, JsonValue]:
        if not users:
            return _keep_seats(tx, subscription, until)
        if at_once:
            return {"revoked": seats.revoke_users(tx, subscription.id, users)}
        return {"leaving": seats.set_end(tx, subscription.id, users, until), "leaving_at": until}

    return apply


def _keep_seats(tx: Transaction, subscription: Subscription, until: str) -> dict[str, JsonValue]:
    leaving = departures.selected_by_decrease(tx, subscription.id, until)
    room = departures.next_seats(tx, subscription.id) - (subscription.assigned - len(leaving))
    staying = leaving[::-1][: max(0, room)]
    return {"staying": seats.clear_end(tx, subscription.id, staying)} if staying else {}
