"""Every invoice question is answered in the terminal: listed, shown, downloaded, paid, sent, made void."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.sandbox.seed import send
from tests.services.sync.test_foreign_objects import customer
from tests.support.both_sides import advance, charges, objects, twin
from tests.support.subscriptions import ledger_place, query


def bill(seatctl, amount=700, **extra):
    """An open invoice of a customer without a subscription; its id."""
    with twin(seatctl) as stripe:
        who = customer(stripe, "Initech", "ap@initech.example")
        send(stripe, "invoiceitems", {"customer": who, "amount": amount, "currency": "usd"})
        made = send(
            stripe, "invoices", {"customer": who, "pending_invoice_items_behavior": "include", **extra}
        )
        send(stripe, f"invoices/{made['id']}/finalize", {})
    assert seatctl("sync").code == 0
    return made["id"]


@pytest.fixture
def open_invoice(sandbox, team):
    return bill(sandbox)


def numbers(seatctl, *words):
    return {row["stripe_id"] for row in seatctl.rows("invoices", "list", *words)}


def test_invoices_are_listed_by_subscription_status_and_date(sandbox, team, open_invoice):
    everything = numbers(sandbox)
    assert len(everything) == 2
    assert numbers(sandbox, "--unpaid") == numbers(sandbox, "--status", "open") == {open_invoice}
    assert numbers(sandbox, team) == everything - {open_invoice}
    today = sandbox("sandbox", "status", "-o", "json").json["now"][:10]
    assert numbers(sandbox, "--since", today, "--until", today) == everything
    assert numbers(sandbox, "--until", "2020-01-01") == set()
    later = bill(sandbox, collection_method="send_invoice", days_until_due=30)
    advance(sandbox, hours=2)
    assert numbers(sandbox, "--overdue") == {open_invoice}  # a card's is due at once
    assert numbers(sandbox, "--unpaid") == {open_invoice, later}
    refused = sandbox("invoices", "list", "--since", "soon", "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "bad_date")


def test_show_tells_lines_payments_and_what_was_prorated(sandbox, team):
    assert sandbox("subs", "add-seats", team, "2", "--yes").code == 0
    assert sandbox("sync").code == 0
    newest = sandbox.rows("invoices", "list")[0]
    page = sandbox("invoices", "show", newest["number"], "-o", "json").json
    assert [line["proration"] for line in page["lines"]] == [True, True]
    assert sum(line["amount"] for line in page["lines"]) == page["total"] == 2400
    assert [(one["amount"], one["status"]) for one in page["payments"]] == [(2400, "paid")]
    assert page["billed_to"] == "pay@example.com"


def test_a_purchase_shows_at_once_what_paid_it(sandbox, team):
    (bought,) = sandbox.rows("invoices", "list")
    page = sandbox("invoices", "show", bought["number"], "-o", "json").json
    assert [(one["amount"], one["status"]) for one in page["payments"]] == [(6000, "paid")]


def test_a_page_is_shown_by_a_fresh_link(sandbox, open_invoice):
    found = objects(sandbox, "invoice")[-1]
    shown = sandbox("invoices", "show", open_invoice, "--web")
    assert (shown.code, shown.out.strip()) == (0, found["hosted_invoice_url"])


def test_paying_charges_the_default_card_once(sandbox, open_invoice):
    told = sandbox("invoices", "pay", open_invoice, "--dry-run", "-o", "json")
    assert (told.code, told.rows[0]["result"]) == (0, "done")
    assert (told.json["dry_run"], told.json["summary"]) == (True, f"would have paid {told.rows[0]['number']}")
    assert sandbox("invoices", "pay", open_invoice, "--no-input").code == 2
    refused = sandbox("invoices", "pay", open_invoice, "--yes", "--max-spend", "1", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "max_spend_exceeded")
    paid = sandbox("invoices", "pay", open_invoice, "--yes", "-o", "json")
    assert (paid.code, paid.rows[0]["status"]) == (0, "paid"), paid.err
    again = sandbox("invoices", "pay", open_invoice, "--yes", "-o", "json")
    assert (again.code, "already" in again.json["summary"]) == (0, True)
    assert charges(sandbox) == [6000, 700]
    assert numbers(sandbox, "--unpaid") == set()


def test_a_declined_card_leaves_the_invoice_open(sandbox, open_invoice):
    with twin(sandbox) as stripe:
        who = objects(sandbox, "invoice")[-1]["customer"]
        card = send(stripe, "payment_methods/pm_card_chargeCustomerFail/attach", {"customer": who})["id"]
    declined = sandbox("invoices", "pay", open_invoice, "--payment-method", card, "--yes", "-o", "json")
    assert (declined.code, declined.error["code"]) == (5, "card_declined")
    assert numbers(sandbox, "--unpaid") == {open_invoice}
    assert sandbox("invoices", "pay", open_invoice, "--yes").code == 0
    assert charges(sandbox) == [6000, 700]


def test_a_card_that_stripe_does_not_know_names_the_way_to_give_one(sandbox, open_invoice):
    refused = sandbox("invoices", "pay", open_invoice, "--payment-method", "pm_nope", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (5, "stripe_resource_missing")
    assert "--payment-method pm_" in refused.error["hint"]
    assert numbers(sandbox, "--unpaid") == {open_invoice}


def bill_subscription(seatctl, amount=500):
    """An open invoice of the first subscription, beside its own; its id."""
    with twin(seatctl) as stripe:
        (found,) = stripe.store.walk("subscription")
        whose = {"customer": found["customer"], "subscription": found["id"]}
        made = send(stripe, "invoices", {**whose, "auto_advance": False})["id"]
        line = {"customer": found["customer"], "invoice": made, "amount": amount, "currency": "usd"}
        send(stripe, "invoiceitems", line)
        send(stripe, f"invoices/{made}/finalize", {"auto_advance": False})
    assert seatctl("sync").code == 0
    return made


def test_what_is_done_with_an_invoice_ends_with_the_invoice(sandbox, team):
    made = bill_subscription(sandbox)
    paid = sandbox("invoices", "pay", made, "--yes", "-o", "json")
    row = paid.rows[0]
    assert (row["stripe_id"], row["status"], row["amount_paid"]) == (made, "paid", 500), paid.err
    assert sandbox("invoices", "void", bill_subscription(sandbox), "--yes", "-q").out.strip()[-5:] == "-0003"
    assert charges(sandbox) == [6000, 500]


def test_an_invoice_for_a_card_is_not_mailed(sandbox, open_invoice):
    refused = sandbox("invoices", "send", open_invoice, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "invoice_state")
    assert "--web" in refused.error["hint"]


def test_sending_and_voiding(sandbox, team):
    open_invoice = bill(sandbox, collection_method="send_invoice", days_until_due=30)
    sent = sandbox("invoices", "send", open_invoice, "--yes", "-o", "json")
    assert sent.json["summary"].startswith("sent ")
    assert sent.json["summary"].endswith(" to ap@initech.example")
    assert "Stripe sends no mails" in sent.err
    voided = sandbox("invoices", "void", open_invoice, "--yes", "-o", "json")
    assert (voided.code, voided.rows[0]["status"]) == (0, "void")
    refused = sandbox("invoices", "pay", open_invoice, "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "invoice_state")
    paid = next(iter(numbers(sandbox, "--status", "paid")))
    assert sandbox("invoices", "void", paid, "--yes", "-o", "json").error["code"] == "invoice_state"
    assert sandbox("audit", "verify").code == 0


@pytest.fixture
def pdfs(sandbox, team, open_invoice):
    """A server of PDFs that Stripe's links lead to; it keeps the headers of each request."""
    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append((self.path, dict(self.headers.items())))
            start = b"<html>" if self.path.endswith("sign-in") else b"%PDF-1.7 of "
            body = start + self.path.encode()
            cut = self.path.endswith("cut")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 99 if cut else len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    path = sandbox.home / "default" / "sandbox.db"
    for (name,) in query(path, "SELECT id FROM objects WHERE kind = 'invoice'"):
        link(sandbox, name, f"{base}/{name}")
    yield base, heard
    server.shutdown()
    server.server_close()


def link(seatctl, invoice, url):
    statement = "UPDATE objects SET body = json_set(body, '$.invoice_pdf', ?) WHERE id = ?"
    query(seatctl.home / "default" / "sandbox.db", statement, url, invoice)


def test_a_period_is_downloaded_into_a_folder_and_goes_on_where_it_stopped(
    sandbox, pdfs, open_invoice, tmp_path
):
    base, heard = pdfs
    folder = tmp_path / "bills"
    words = ("invoices", "download", "--since", "2020-01-01", "--to", folder, "-o", "json")
    told = sandbox(*words, "--dry-run")
    assert (told.code, told.json["summary"]) == (
        0,
        "would have downloaded 2 invoices, 0 there already, 0 failed",
    )
    link(sandbox, open_invoice, f"{base}/cut")
    first = sandbox(*words)
    assert (first.code, sorted(row["result"] for row in first.rows)) == (6, ["downloaded", "failed"])
    assert len(list(folder.iterdir())) == 1  # nothing half is left
    link(sandbox, open_invoice, f"{base}/whole")
    second = sandbox(*words)
    assert (second.code, sorted(row["result"] for row in second.rows)) == (0, ["downloaded", "there already"])
    assert len(heard) == 3
    assert all(file.read_bytes().startswith(b"%PDF") for file in folder.iterdir())
    assert not any("Authorization" in headers for _, headers in heard)


def test_what_cannot_be_written_is_no_bug(sandbox, pdfs, open_invoice, tmp_path):
    (tmp_path / "file").write_text("mine")
    for words in (
        ("--since", "2020-01-01", "--to", tmp_path / "file"),
        (open_invoice, "--to", "/proc/x.pdf"),
    ):
        refused = sandbox("invoices", "download", *words, "-o", "json")
        assert (refused.code, refused.error["code"]) == (74, "cannot_write")
    below = (open_invoice, "--to", tmp_path / "file" / "x.pdf")
    assert sandbox("invoices", "download", *below).code == 74
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_no_pdf_is_not_kept(sandbox, pdfs, open_invoice, tmp_path):
    base, _ = pdfs
    link(sandbox, open_invoice, f"{base}/sign-in")
    refused = sandbox("invoices", "download", open_invoice, "--to", tmp_path, "-o", "json")
    assert (refused.code, refused.error["code"]) == (75, "download_failed")
    link(sandbox, open_invoice, "http://localhost.example/x")
    assert (
        "the link from Stripe is not trusted"
        in sandbox("invoices", "download", open_invoice, "--to", tmp_path).err
    )
    assert list(tmp_path.glob("*.pdf")) == []


def test_two_invoices_never_share_a_file(sandbox, pdfs, open_invoice, tmp_path):
    query(ledger_place(sandbox), "UPDATE invoices SET number = CASE WHEN id = 1 THEN 'A/1' ELSE 'A-1' END")
    stripe = sandbox.home / "default" / "sandbox.db"
    for invoice, number in query(ledger_place(sandbox), "SELECT stripe_id, number FROM invoices"):
        query(stripe, "UPDATE objects SET body = json_set(body, '$.number', ?) WHERE id = ?", number, invoice)
    words = ("invoices", "download", "--since", "2020-01-01", "--to", tmp_path, "-o", "json")
    assert {row["result"] for row in sandbox(*words).rows} == {"downloaded"}
    assert len(list(tmp_path.glob("A-1-in_*.pdf"))) == 2


def test_one_invoice_is_downloaded(sandbox, pdfs, open_invoice, tmp_path):
    got = sandbox("invoices", "download", open_invoice, "--to", tmp_path / "one.pdf")
    assert (got.code, (tmp_path / "one.pdf").exists()) == (0, True), got.err
    assert sandbox("invoices", "download").code == 2
