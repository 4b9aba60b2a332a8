"""`seats apply`: compared, guarded, previewed, saved as a plan and applied."""

import stat

import pytest

from tests.support import ledgers
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DAN = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dan"))


@pytest.fixture
def design(seatctl, sandbox):
    """Four seats, of which ann and bob have two; cyd is a user."""
    add_subscription(ledger_place(sandbox), seats=4)
    assert seatctl("users", "add", ANN, BOB, CYD).code == 0
    assert seatctl("seats", "assign", "design", ANN, BOB).code == 0
    return "design"


def seated(seatctl, name="design"):
    return sorted(row["email"] for row in seatctl.rows("seats", "list", name))


def apply(seatctl, rows, *options, columns="email,subscription"):
    return seatctl("seats", "apply", "-", *options, "-o", "json", stdin=f"{columns}\n{rows}")


STATE = f"{ANN},design\n{CYD},design\n"


def test_a_second_run_has_nothing_to_do(seatctl, design):
    done = apply(seatctl, STATE, "--prune", "--max-revoke", "1")
    assert (done.code, done.json["summary"]) == (
        0,
        "seated 1, revoked 1 in design; what is billed does not change",
    )
    assert [(row["email"], row["result"]) for row in done.rows] == [(BOB, "revoked"), (CYD, "seated")]
    assert seated(seatctl) == [ANN, CYD]
    again = apply(seatctl, STATE, "--prune", "--max-revoke", "1")
    assert (again.code, again.json["summary"], again.json["run"], again.rows) == (
        0,
        "nothing to do",
        None,
        [],
    )


def test_without_prune_nobody_loses_a_seat_and_with_it_only_in_subscriptions_of_the_file(seatctl, design):
    add_subscription(ledger_place(seatctl), "other", seats=2)
    seatctl("seats", "assign", "other", BOB)
    assert apply(seatctl, f"{CYD},design\n").code == 0
    assert seated(seatctl) == [ANN, BOB, CYD]
    assert apply(seatctl, f"{CYD},design\n", "--prune", "--max-revoke", "100%").code == 0
    assert (seated(seatctl), seated(seatctl, "other")) == ([CYD], [BOB])


def test_seats_are_given_back_before_they_are_given_out(seatctl, design):
    seatctl("users", "add", DAN, "eve@example.com")
    four = "".join(f"{email},design\n" for email in (CYD, DAN, "eve@example.com", ANN))
    assert apply(seatctl, four, "--prune", "--max-revoke", "1").code == 0
    assert seated(seatctl) == [ANN, CYD, DAN, "eve@example.com"]


def test_a_broken_export_costs_nobody_the_seat(seatctl, design):
    refused = apply(seatctl, "", "--subscription", "design", "--prune")
    assert (refused.code, refused.error["code"], refused.out) == (4, "max_revoke_exceeded", "")
    assert refused.error["subscriptions"] == [
        {"subscription": "design", "seats": 2, "revoked": 2, "allowed": 1}
    ]
    assert "--max-revoke 2 allows it" in refused.error["hint"]
    assert seated(seatctl) == [ANN, BOB]
    assert apply(seatctl, "", "-s", "design", "--prune", "--max-revoke", "2").code == 0
    assert seated(seatctl) == []


@pytest.mark.parametrize("typed", ["-1", "101%", "many", "5 %%", ""])
def test_a_limit_that_is_none_is_a_wrong_usage(seatctl, design, typed):
    assert apply(seatctl, STATE, f"--max-revoke={typed}").code == 2


def test_check_writes_nothing_and_says_by_its_exit_whether_anything_differs(seatctl, design):
    before = ledgers.stored(seatctl.home)
    differs = apply(seatctl, STATE, "--prune", "--check")
    assert (differs.code, differs.json["differs"], len(differs.rows)) == (7, True, 2)
    assert apply(seatctl, f"{ANN},design\n", "--check").code == 0
    assert ledgers.stored(seatctl.home) == before


def test_check_needs_neither_a_role_nor_a_file_it_may_write(seatctl, design, tmp_path):
    copy = tmp_path / "backup.db"
    assert seatctl("ledger", "backup", copy).code == 0
    copy.chmod(0o400)
    tmp_path.joinpath("seatctl").chmod(0o700)
    differs = apply(seatctl, STATE, "--check", "--ledger", copy, "--as", "ci:check")
    assert (differs.code, differs.json["summary"]) == (7, "would have seated 1 in design")
    assert seatctl("seats", "apply", "-", "--as", "ci:check", stdin=f"email,subscription\n{STATE}").code == 8


def test_a_dry_run_shows_what_would_be_done(seatctl, design):
    shown = apply(seatctl, STATE, "--prune", "--max-revoke", "1", "--dry-run")
    assert (shown.code, shown.json["dry_run"], shown.json["run"]) == (0, True, None)
    assert [row["result"] for row in shown.rows] == ["revoked", "seated"]
    assert seated(seatctl) == [ANN, BOB]


def test_unknown_people_need_create_users_and_bad_rows_come_all_at_once(seatctl, design):
    rows = f"{DAN},design\nnobody,design\n{ANN},desing\n{BOB},\n{CYD},design\n"
    refused = apply(seatctl, rows)
    assert (refused.code, refused.error["code"]) == (3, "bad_rows")
    assert [row["line"] for row in refused.error["rows"]] == [2, 3, 4, 5]
    assert "--create-users" in refused.error["rows"][0]["error"]
    assert "no subscription 'desing'" in refused.error["rows"][2]["error"]
    assert seated(seatctl) == [ANN, BOB]
    partly = apply(seatctl, rows, "--create-users", "--skip-bad")
    assert (partly.code, partly.json["bad"]) == (6, 3)
    assert seated(seatctl) == [ANN, BOB, CYD, DAN]


def test_a_person_who_may_not_sit_does_not_stop_the_night(seatctl, design):
    """The export has a removed user, a suspended one, and one whose two rows disagree."""
    assert seatctl("users", "add", DAN, "eve@example.com").code == 0
    assert seatctl("users", "remove", DAN, "--yes").code == 0
    assert seatctl("users", "suspend", "eve@example.com").code == 0
    rows = "".join(f"{row}\n" for row in (f"{CYD},,design", f"{DAN},,design", "eve@example.com,,design"))
    rows += f"{BOB},Bob,design\n{BOB},Robert,design\n"
    words = ("--prune", "--max-revoke", "1")
    stopped = apply(seatctl, rows, *words, columns="email,name,subscription")
    assert (stopped.code, [row["line"] for row in stopped.error["rows"]]) == (3, [3, 4, 5, 6])
    assert stopped.error["hint"] == "correct them, or leave them out with --skip-bad"
    done = apply(seatctl, rows, *words, "--skip-bad", columns="email,name,subscription")
    assert (done.code, done.json["bad"]) == (6, 4)
    assert {row["email"]: row["result"] for row in done.rows} == {
        ANN: "revoked",
        CYD: "seated",
        DAN: "bad",
        "eve@example.com": "bad",
        BOB: "bad",
    }
    assert seated(seatctl) == [BOB, CYD], "who stands in a bad row that can be read keeps the seat"


@pytest.mark.parametrize("row", ["bad@,design", f"{ANN},desing", f"{ANN},", "\x00,design"])
def test_a_row_that_cannot_be_read_prunes_nobody(seatctl, design, row):
    """The row may be about anybody who has a seat, so it is not skipped either."""
    assert "--skip-bad" in apply(seatctl, "bad@,design\n").error["hint"]
    for words in (("--prune",), ("--prune", "--skip-bad")):
        refused = apply(seatctl, f"{CYD},design\n{row}\n", *words, "--max-revoke", "100%")
        assert (refused.code, refused.error["hint"]) == (3, "correct them")
    assert seated(seatctl) == [ANN, BOB]


@pytest.mark.parametrize(
    "words", [(), ("--prune",), ("--prune", "--check"), ("--prune", "--save", "p.jsonl")]
)
def test_a_file_without_rows_does_not_say_that_there_is_nothing_to_do(seatctl, design, words, tmp_path):
    file = tmp_path / "export.csv"
    file.write_text("email,subscription\n")
    refused = seatctl("seats", "apply", file, *words, "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "no_rows")
    assert "--subscription" in refused.error["hint"]
    assert not (tmp_path / "p.jsonl").exists()
    piped = seatctl("seats", "apply", "-", *words, "-o", "json", stdin="email,subscription\n")
    assert (piped.code, piped.error["message"].partition(" has no rows")[0]) == (3, "stdin")
    file.with_suffix(".toml").write_text("")
    assert seatctl("seats", "apply", file.with_suffix(".toml"), *words, "-o", "json").code == 3


def test_a_subscription_whose_last_person_left_the_file_is_missed(seatctl, design):
    add_subscription(ledger_place(seatctl), "two words", seats=2)
    assert apply(seatctl, f"{STATE}{BOB},two words\n").code == 0
    for words in ((), ("--check",), ("--dry-run",)):
        missed = apply(seatctl, f"{STATE}{BOB},design\n", "--prune", *words)
        assert (missed.code, missed.error["code"]) == (3, "not_in_file")
        assert missed.error["subscriptions"] == ["two words"]
        assert "two words (1 seated)" in missed.error["message"]
        assert "-s design -s 'two words'" in missed.error["hint"]
    assert seated(seatctl, "two words") == [BOB]
    # If it describes both completely, it revokes in both; if only one, the other does not change.
    one = apply(seatctl, STATE, "--prune", "-s", "design", "--check")
    assert (one.code, [row["email"] for row in one.rows]) == (7, [BOB])
    both = apply(
        seatctl, f"{STATE}{BOB},design\n", "--prune", "-s", "design", "-s", "two words", "--max-revoke", "1"
    )
    assert (both.code, [(row["email"], row["subscription"]) for row in both.rows]) == (
        0,
        [(BOB, "two words")],
    )
    assert apply(seatctl, f"{STATE}{BOB},design\n", "--prune").code == 0, "nobody is there to be missed"


def test_a_subscription_that_no_file_has_named_is_left_alone_and_told(seatctl, design, tmp_path):
    add_subscription(ledger_place(seatctl), "other", seats=2)
    seatctl("seats", "assign", "other", BOB)
    file = tmp_path / "s.csv"
    file.write_text(f"email,subscription\n{ANN},design\n{BOB},design\n")
    done = seatctl("seats", "apply", file, "--prune")
    assert (done.code, "not in the file, so no seats are revoked there: other" in done.err) == (0, True)
    assert seatctl("seats", "apply", file, "--prune", "-o", "json").json["not_in_file"] == ["other"]


def test_a_plan_of_what_was_named_is_carried_out(seatctl, design, tmp_path):
    add_subscription(ledger_place(seatctl), "other", seats=2)
    assert apply(seatctl, f"{ANN},other\n").code == 0
    words = ("--prune", "-s", "design", "--save", tmp_path / "p.jsonl", "--max-revoke", "100%")
    assert apply(seatctl, STATE, *words).code == 0
    assert seatctl("seats", "apply", "--saved", tmp_path / "p.jsonl").code == 0
    assert (seated(seatctl), seated(seatctl, "other")) == ([ANN, CYD], [ANN])


def test_rows_that_contradict_each_other_are_bad_and_equal_ones_are_one(seatctl, design):
    rows = (
        f"{CYD},design,Cyd,2031-01-01\n{CYD},design,Cyd,2032-01-01\n{ANN},design,Ann,\n{ANN},design,Anna,\n"
    )
    refused = apply(seatctl, rows, columns="email,subscription,name,until")
    assert [row["line"] for row in refused.error["rows"]] == [2, 3, 4, 5]
    assert apply(seatctl, f"{CYD},design\n{CYD.upper()},design\n").json["summary"] == "seated 1 in design"


def test_names_groups_and_ends_are_part_of_the_state(seatctl, design):
    rows = f"{ANN},design,Ann Archer,sales,2031-01-31\n{BOB},design,,,\n"
    done = apply(seatctl, rows, columns="email,subscription,name,group,until")
    assert done.json["summary"] == "changed the end of 1 seat in design, updated 1 user"
    listed = seatctl.rows("seats", "list", "design")
    assert [(row["name"], row["until"]) for row in listed] == [
        ("Ann Archer", "2031-01-31T23:59:59Z"),
        (None, None),
    ]
    assert (
        apply(seatctl, rows, columns="email,subscription,name,group,until").json["summary"] == "nothing to do"
    )
    assert apply(seatctl, f"{ANN},design,never\n", columns="email,subscription,until").code == 0
    assert seatctl.rows("seats", "list", "design")[0]["until"] is None


def test_who_should_have_left_already_is_revoked(seatctl, design):
    past = f"{ANN},design,2020-01-31\n{CYD},design,2020-01-31\n"
    done = apply(seatctl, past, columns="email,subscription,until")
    assert [(row["email"], row["result"]) for row in done.rows] == [(ANN, "revoked")]
    assert apply(seatctl, past, columns="email,subscription,until").json["summary"] == "nothing to do"


def test_where_seats_are_short_nobody_is_seated_unless_fill(seatctl, design):
    people = "".join(f"p{n}@example.com,design\n" for n in range(3))
    refused = apply(seatctl, people, "--create-users")
    assert (refused.code, refused.error["code"], refused.error["missing"]) == (4, "no_seats_left", 1)
    assert refused.error["message"].startswith("design: 3 rows: 0 seated, 3 new, 2 free, short 1 → 1 seat")
    assert [row["email"] for row in refused.error["rows"]] == ["p2@example.com"]
    filled = apply(seatctl, people, "--create-users", "--fill")
    assert (filled.code, filled.json["summary"]) == (
        6,
        "seated 2 in design, added 2 users; 1 without a seat",
    )


def test_what_would_be_done_is_said_as_far_as_seats_are_free(seatctl, design):
    seatctl("users", "add", DAN, "eve@example.com")
    rows = f"{CYD},design\n{DAN},design\neve@example.com,design\n"
    assert apply(seatctl, rows, "--check").json["summary"] == "would have seated 3 in design; 1 seat missing"
    would = "would have seated 2 in design; 1 without a seat"
    assert apply(seatctl, rows, "--fill", "--check").json["summary"] == would
    assert apply(seatctl, rows, "--fill", "--dry-run").json["summary"] == would
    assert apply(seatctl, rows, "--fill").json["summary"] == "seated 2 in design; 1 without a seat"


def test_toml_says_the_same(seatctl, design, tmp_path):
    file = tmp_path / "seats.toml"
    file.write_text(
        f'[subscriptions]\ndesign = ["{ANN}"]\n[[seats]]\nemail = "{CYD}"\nsubscription = "design"\n'
        "until = 2031-01-31\n"
    )
    done = seatctl("seats", "apply", file, "--prune", "--max-revoke", "1", "-o", "json")
    assert [(row["email"], row["result"]) for row in done.rows] == [(BOB, "revoked"), (CYD, "seated")]
    file.write_text("[subscriptions]\ndesign = []\n")
    assert seatctl("seats", "apply", file, "--prune", "--max-revoke", "100%").code == 0
    assert seated(seatctl) == []


@pytest.mark.parametrize(
    "text", ["x = 1", "seats = 3", "[subscriptions]\ndesign = 'ann'", "[[seats]]\nwho = 'x'", "["]
)
def test_another_toml_is_bad_input(seatctl, design, tmp_path, text):
    file = tmp_path / "seats.toml"
    file.write_text(text)
    refused = seatctl("seats", "apply", file)
    assert refused.code == 3
    assert "Traceback" not in refused.err


def test_markdown_is_a_comment_with_numbers_and_rows(seatctl, design):
    shown = seatctl("seats", "apply", "-", "--check", "-o", "markdown", stdin=f"email,subscription\n{STATE}")
    lines = shown.out.splitlines()
    assert lines[0] == "**Differences:** would have seated 1 in design"
    assert "| design | 2 | 1 | 1 | 0 | 0 | 2 | 0 | 0 |" in lines
    assert f"| 3 | {CYD} | design | seated | - | - |" in lines


# -- saved plans --------------------------------------------------------------------------------


@pytest.fixture
def plan(seatctl, design, tmp_path):
    file = tmp_path / "plan.jsonl"
    saved = apply(seatctl, STATE, "--prune", "--max-revoke", "1", "--save", file)
    assert (saved.code, len(saved.rows), seated(seatctl)) == (0, 2, [ANN, BOB])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return file


def test_a_saved_plan_is_carried_out_once(seatctl, plan):
    assert seatctl("seats", "apply", "--saved", plan).code == 0
    assert seated(seatctl) == [ANN, CYD]
    again = seatctl("seats", "apply", "--saved", plan, "-o", "json")
    assert (again.code, again.error["code"]) == (4, "stale_plan")


@pytest.mark.parametrize(
    ("moved", "why"),
    [
        (
            "SELECT 1",
            None,
        ),
        ("UPDATE subscriptions SET price_id = 'price_2'", "price"),
        ("UPDATE subscriptions SET unit_amount = 1300", "price"),
        ("UPDATE subscriptions SET term_end = '2037-01-01T00:00:00Z'", "renewal date"),
        ("UPDATE seats SET until = '2031-01-01T00:00:00Z'", "differences have changed"),
    ],
)
def test_a_plan_is_stale_once_the_ledger_the_price_or_the_renewal_date_moved_on(seatctl, plan, moved, why):
    query(ledger_place(seatctl), moved)
    if why is None:
        assert seatctl("users", "add", DAN).code == 0
    refused = seatctl("seats", "apply", "--saved", plan, "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "stale_plan")
    assert (why or "ledger has changed") in refused.error["message"]
    assert seated(seatctl) == [ANN, BOB]


def test_a_name_is_no_markup_in_the_comment(seatctl, sandbox):
    name = add_subscription(ledger_place(sandbox), "a|b *c* <i>")
    words = ("seats", "apply", "-", "-s", name, "--create-users", "--check", "-o", "markdown")
    comment = seatctl(*words, stdin="email\nann@example.com\n").out
    assert comment.startswith("**Differences:** would have seated 1 in a\\|b \\*c\\* &lt;i&gt;")
    assert "<i>" not in comment


def test_the_command_that_carries_a_plan_out_can_be_pasted(seatctl, design, tmp_path):
    plan = tmp_path / "my plan.jsonl"
    saved = seatctl("seats", "apply", "-", "--save", plan, stdin=f"email,subscription\n{STATE}")
    assert f"apply it: seatctl seats apply --saved '{plan}'" in saved.err


def test_a_plan_that_was_edited_is_refused(seatctl, plan):
    plan.write_text(plan.read_text().replace(CYD, DAN))
    assert seatctl("seats", "apply", "--saved", plan, "-o", "json").error["code"] == "bad_plan"


@pytest.mark.parametrize("more", [(), ("--check",), ("--save", "plan.jsonl"), ("--dry-run",)])
def test_a_limit_that_is_no_amount_is_refused_even_where_nothing_is_short(seatctl, design, more):
    refused = apply(seatctl, STATE, "--buy-shortfall", "--max-spend", "x", "--yes", *more)
    assert (refused.code, refused.error["code"]) == (3, "bad_amount")
    assert seated(seatctl) == [ANN, BOB]


def at_terminal(seatctl, tmp_path, answer, *options):
    (tmp_path / "state.csv").write_text(f"email,subscription\n{STATE}")
    words = (tmp_path / "state.csv", "--prune", "--max-revoke", "1", *options)
    return seatctl("seats", "apply", *words, tty=True, stdin=answer)


def test_at_a_terminal_prune_names_who_loses_a_seat_and_asks(seatctl, design, tmp_path):
    refused = at_terminal(seatctl, tmp_path, "n\n")
    assert f"{BOB} loses the seat in design" in refused.err
    assert "Revoke 1 seat? [y/N]" in refused.err
    assert (refused.code, seated(seatctl)) == (4, [ANN, BOB])
    assert "Revoke" not in at_terminal(seatctl, tmp_path, "", "--dry-run").err
    assert "Revoke" not in at_terminal(seatctl, tmp_path, "", "--check").err
    assert at_terminal(seatctl, tmp_path, "y\n").code == 0
    assert seated(seatctl) == [ANN, CYD]
    again = at_terminal(seatctl, tmp_path, "")
    assert (again.code, "Revoke" in again.err) == (0, False)  # nobody loses a seat


def test_yes_answers_the_question_of_prune(seatctl, design, tmp_path):
    assert at_terminal(seatctl, tmp_path, "", "--yes").code == 0
    assert seated(seatctl) == [ANN, CYD]


def test_what_would_be_refused_is_refused_before_anybody_is_asked(seatctl, design, tmp_path):
    (tmp_path / "state.csv").write_text(f"email,subscription\n{STATE}")
    words = (tmp_path / "state.csv", "--prune", "--max-revoke", "0")
    refused = seatctl("seats", "apply", *words, tty=True)
    assert (refused.code, "Revoke" in refused.err) == (4, False)


def test_only_the_seats_that_were_agreed_to_are_revoked(seatctl, design, tmp_path, monkeypatch):
    from seatctl.app.context import Context

    def meanwhile(here, question, **_):
        seatctl("seats", "revoke", "design", BOB)
        seatctl("seats", "assign", "design", DAN, "--create-users")

    monkeypatch.setattr(Context, "confirm", meanwhile)
    stale = at_terminal(seatctl, tmp_path, "")
    assert (stale.code, seated(seatctl)) == (4, [ANN, DAN])
    assert "the people who would lose their seats have changed" in stale.err
