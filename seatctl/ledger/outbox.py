"""Messages that wait to be sent. Transactions put them in; here they are spread out to their recipients."""

from __future__ import annotations

from seatctl.ledger.transaction import Journal

_BULK = "state = 'waiting' AND json_extract(ids, '$.from_change') IS NOT NULL"

_SPREAD = """INSERT INTO outbox (entry_id, n, template, ids, recipient_id)
    SELECT :entry, :n + row_number() OVER (ORDER BY c.n), :template, json_object('seat', t.id), t.user_id
    FROM changes c JOIN seats t ON t.id = c.entity_id
    WHERE c.entry = :entry AND c.entity = 'seat' AND c.n BETWEEN :first AND :last"""


def spread(journal: Journal) -> int:
    """Turn every message to many (`Transaction.mail_each`) into one per recipient; how many there are now.

    In one transaction with taking the original away, so that a kill neither loses nor doubles any.
    """
    made = 0
    found = journal.rows(
        "SELECT id, entry_id, template, json_extract(ids, '$.from_change') AS first,"  # noqa: S608 - ours
        f" json_extract(ids, '$.to_change') AS last FROM outbox WHERE {_BULK} ORDER BY id"
    )
    for row in list(found):
        journal.execute("DELETE FROM outbox WHERE id = ?", (row["id"],))
        taken = journal.count("SELECT max(n) FROM outbox WHERE entry_id = ?", (row["entry_id"],))
        made += journal.execute(
            _SPREAD,
            {
                "entry": row["entry_id"],
                "n": taken,
                "template": row["template"],
                "first": row["first"],
                "last": row["last"],
            },
        )
    return made
