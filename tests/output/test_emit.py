"""What is printed: formats, streams, fields, escaping. On literals where no ledger is needed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from seatctl.errors import BadInput
from seatctl.models.call import format_time
from seatctl.models.report import Report, counted
from seatctl.output import emit as output
from seatctl.output.style import Column, Format, Style, plain_cell
from seatctl.output.tables import local_money, relative_time
from seatctl.rules.run_changes import differences

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
COLUMNS = (
    Column("name", "Name"),
    Column("seats", "Seats", "integer"),
    Column("price", "Price", "money"),
    Column("since", "Since", "time"),
    Column("active", "Active"),
    Column("features", "Features"),
    Column("id", "Stripe id", table=False),
)
DESIGN = {
    "name": "design",
    "seats": 1200,
    "price": 1200,
    "currency": "usd",
    "since": "2026-05-30T12:00:00Z",
    "active": True,
    "features": ["meet", "report"],
    "id": "sub_1",
}
BARE = {**DESIGN, "name": "bare", "since": None, "active": False, "features": []}


def style(form, **changes):
    base = Style(
        format=Format(form), fields=(), header=True, quiet=False, terminal=False, color=False, now=lambda: NOW
    )
    return base._replace(**changes)


@pytest.fixture(autouse=True)
def unbounded(monkeypatch):
    """Whoever runs the tests may have set a width."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def listed(capsys):
    def emit(form, records=(DESIGN, BARE), columns=COLUMNS, total=None, **changes):
        output.emit_list(style(form, **changes), iter(records), columns, handle="name", total=total)
        return capsys.readouterr()

    return emit


@pytest.fixture
def reported(capsys):
    def emit(form, **changes):
        report = Report(
            **{"run": 7, "dry_run": False, "summary": "2 seats", "undo": "seatctl runs undo 7", **changes}
        )
        output.emit_report(style(form), report)
        return capsys.readouterr()

    return emit


def test_tsv_is_one_line_per_record_with_a_header(listed):
    assert listed("tsv").out.splitlines() == [
        "name\tseats\tprice\tsince\tactive\tfeatures\tid\tcurrency",
        "design\t1200\t1200\t2026-05-30T12:00:00Z\ttrue\tmeet,report\tsub_1\tusd",
        "bare\t1200\t1200\t\tfalse\t\tsub_1\tusd",
    ]


def test_json_is_an_array_of_the_records_as_they_are(listed):
    assert json.loads(listed("json").out) == [DESIGN, BARE]
    assert listed("json", records=()).out == "[]\n"


def test_jsonl_is_one_object_per_line(listed):
    assert [json.loads(line) for line in listed("jsonl").out.splitlines()] == [DESIGN, BARE]
    assert listed("jsonl", records=()).out == ""


def test_a_table_on_a_terminal_is_for_people(listed, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    lines = listed("table", terminal=True).out.splitlines()
    assert lines[0].split() == ["Name", "Seats", "Price", "Since", "Active", "Features"]
    assert lines[1].split("  ")[0] == "design"
    for text in ("1,200", "$12.00", "2 days ago", "yes", "meet, report"):
        assert text in lines[1]
    assert "no" in lines[2].split()
    assert "-" in lines[2].split()


def test_a_table_that_is_piped_has_exact_times_and_money(listed):
    line = listed("table").out.splitlines()[1]
    assert "12.00 USD" in line
    assert "2026-05-30T12:00:00Z" in line


def test_a_table_leaves_out_what_no_row_has(listed):
    header = listed("table", records=[BARE]).out.splitlines()[0]
    assert header.split() == ["Name", "Seats", "Price", "Active"]
    asked = listed("table", records=[BARE], fields=("name", "since")).out.splitlines()
    assert asked[1].split() == ["bare", "-"]


def test_the_currency_stands_with_the_amount_and_nowhere_else(listed):
    columns = (*COLUMNS[:3], Column("currency", "Currency"))
    assert "Currency" not in listed("table", columns=columns).out
    assert "currency" in listed("tsv", columns=columns).out


def test_on_a_narrow_terminal_sentences_give_way_before_addresses_and_nothing_is_cut(listed, monkeypatch):
    columns = (Column("n", "Run number", "integer"), Column("who", "Who"), Column("what", "What"))
    record = {"n": 1_000_000, "who": "person@example.com", "what": "gave the seat of Bob to Zoe at once"}
    monkeypatch.setenv("COLUMNS", "58")
    assert listed("table", records=[record], columns=columns).out.splitlines() == [
        "Run number  Who                 What",
        " 1,000,000  person@example.com  gave the seat of Bob to",
        "                                Zoe at once",
    ]
    monkeypatch.setenv("COLUMNS", "40")
    assert listed("table", records=[record], columns=columns).out.splitlines() == [
        "      Run",
        "   number  Who            What",
        "1,000,000  person@        gave the seat",
        "           example.com    of Bob to Zoe",
        "                          at once",
    ]


def test_what_is_copied_into_the_next_command_is_never_folded(listed, monkeypatch):
    columns = (Column("name", "Who"), Column("owner", "Owner"), Column("what", "What"))
    record = {"name": "person@example.com", "owner": "another@example.com", "what": "gave a seat to Zoe"}
    monkeypatch.setenv("COLUMNS", "44")
    lines = listed("table", records=[record], columns=columns).out.splitlines()
    assert lines[1].split()[:2] == ["person@example.com", "another@"]
    assert max(map(len, lines)) <= 44


def test_a_table_that_cannot_be_made_narrow_enough_is_a_page_for_each_record(listed, monkeypatch):
    columns = (Column("name", "Name"), Column("seats", "Seats", "integer"), Column("owner", "Owner"))
    records = [{"name": name, "seats": 4, "owner": "person@example.com"} for name in ("design", "sales")]
    monkeypatch.setenv("COLUMNS", "20")
    assert listed("table", records=records, columns=columns).out.splitlines() == [
        "Name   design",
        "Seats  4",
        "Owner  person@",
        "       example.com",
        "",
        "Name   sales",
        "Seats  4",
        "Owner  person@",
        "       example.com",
    ]


def test_what_matters_least_is_left_out_before_that_unless_it_was_asked_for(listed, monkeypatch):
    columns = (
        Column("name", "Name"),
        Column("owner", "Owner", wide=True),
        Column("seats", "Seats", "integer"),
    )
    record = {"name": "a-long-name", "owner": "person@example.com", "seats": 4}
    monkeypatch.setenv("COLUMNS", "24")
    assert listed("table", records=[record], columns=columns).out.split() == [
        "Name",
        "Seats",
        "a-long-name",
        "4",
    ]
    assert "person@" in listed("table", records=[record], columns=columns, fields=("name", "owner")).out
    monkeypatch.setenv("COLUMNS", "60")
    assert "person@example.com" in listed("table", records=[record], columns=columns).out
    assert "person@example.com" in listed("tsv", records=[record], columns=columns).out


def test_one_thing_has_a_line_for_each_sentence_and_the_exact_time(capsys):
    columns = (*COLUMNS, Column("rules", "Rules", "lines"))
    output.emit_one(
        style("table", terminal=True),
        {**BARE, "since": "2026-05-30T12:00:00Z", "rules": ["One.", "Two."]},
        columns,
        handle="name",
    )
    lines = capsys.readouterr().out.splitlines()
    assert "Since   2026-05-30 12:00 UTC (2 days ago)" in lines
    assert lines[-2:] == ["Rules   One.", "        Two."]
    assert not any(line.startswith("Features") for line in lines)


def test_nobody_takes_a_dry_run_for_the_real_one(reported):
    told = reported("table", dry_run=True, run=None, undo=None, summary="2 seated").err
    assert told == "dry run: 2 seated; nothing was changed\n"
    assert reported("table", dry_run=True, undo=None, summary="would seat 2").err == "would seat 2\n"


def test_differences_name_what_changed_and_only_that():
    before = {"capacity": 25, "name": "design", "policy": {"pack_size": 1, "features": ["meet"]}}
    after = {"capacity": 27, "name": "design", "policy": {"pack_size": 1, "features": []}, "owner": None}
    assert differences(before, after) == ["capacity: 25 → 27", "policy.features: meet → -"]
    assert differences(None, {"lock": True, "until": None}) == ["lock: yes"]


def test_markdown_is_a_table_in_which_nothing_is_markup(listed):
    out = listed("markdown", records=[{**DESIGN, "name": "a|b <b>*x*</b> [l](u)"}]).out.splitlines()
    assert out[0] == "| Name | Seats | Price | Since | Active | Features |"
    assert out[1] == "| --- | --- | --- | --- | --- | --- |"
    assert out[2].startswith(r"| a\|b &lt;b&gt;\*x\*&lt;/b&gt; \[l\](u) | 1,200 | 12.00 USD |")


def test_fields_choose_and_order_in_every_format(listed):
    chosen = {"fields": ("seats", "id")}
    assert listed("tsv", **chosen).out == "seats\tid\n1200\tsub_1\n1200\tsub_1\n"
    assert json.loads(listed("json", **chosen).out)[0] == {"seats": 1200, "id": "sub_1"}
    assert listed("table", **chosen).out.splitlines()[0].split() == ["Seats", "Stripe", "id"]


def test_a_field_that_is_not_there_offers_the_nearest(listed):
    with pytest.raises(output.UsageError, match="unknown field 'seat'") as refused:
        listed("json", fields=("seat",))
    assert refused.value.hint == "--fields seats"


def test_no_header_and_handles_only(listed):
    assert listed("tsv", header=False).out.startswith("design\t")
    assert listed("csv", header=False).out.startswith("design,")
    assert "Name" not in listed("table", header=False).out
    for form in Format:
        assert listed(form, quiet=True).out == "design\nbare\n"


def test_a_table_shows_fifty_rows_and_says_how_many_there_are(listed):
    many = [{**DESIGN, "name": f"n{i}"} for i in range(1234)]
    shown = listed("table", records=many, total=lambda: 1234)
    assert len(shown.out.splitlines()) == 51
    assert shown.err == "the first 50 of 1,234; -o csv shows all\n"
    assert listed("table", records=many[:50], total=lambda: 50).err == ""


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "tsv"])
def test_machine_formats_are_never_cut_and_are_streamed(form, capsys):
    written = []

    class Watched(io.StringIO):
        def write(self, text):
            written.append(text)
            return len(text)

    def records():
        for i in range(200):
            yield {**DESIGN, "name": f"n{i}"}
            assert len(written) >= i - 1  # what was read is written before the next is read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", Watched())
        output.emit_list(style(form), records(), COLUMNS, handle="name")
    assert sum("n199" in text for text in written) == 1


HOSTILE = "\x1b[31mred\x1b[0m\u202egnp\u2028x\ty\nz\x9b\x7f"


@pytest.mark.parametrize("form", ["table", "markdown", "tsv"])
def test_what_was_typed_stays_on_its_line_and_does_nothing(listed, form, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = listed(form, records=[{**DESIGN, "name": HOSTILE}], terminal=True).out
    assert not set("\x1b\u202e\u2028\x9b\x7f") & set(out)
    assert next(line for line in out.splitlines() if "red" in line).count("z") == 1
    assert r"\x1b" in out or r"\\x1b" in out


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_gives_the_text_back_and_does_nothing_on_a_terminal(listed, form):
    out = listed(form, records=[{**DESIGN, "name": HOSTILE}]).out
    assert not set("\x1b\u202e\u2028\x9b\x7f") & set(out)
    found = json.loads(out)
    assert (found[0] if form == "json" else found)["name"] == HOSTILE


def test_rich_markup_is_text(listed):
    assert (
        "[bold]x[/bold] :smile:"
        in listed("table", records=[{**DESIGN, "name": "[bold]x[/bold] :smile:"}]).out
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "'=1", "''=1", "'x", "plain", ""])
def test_csv_runs_no_formula_and_gives_the_text_back(listed, text):
    from seatctl.rules.terminal_text import FORMULA_STARTS, unguard_cell

    out = listed("csv", records=[{**DESIGN, "name": text}]).out
    cell = list(csv.reader(io.StringIO(out, newline="")))[1][0]
    assert not cell.startswith(FORMULA_STARTS)
    assert unguard_cell(cell) == text


def test_numbers_are_no_formulas(listed):
    assert listed("csv", records=[{**DESIGN, "seats": -5}]).out.splitlines()[1].startswith("design,-5,")


def test_a_report_in_json_is_one_object(reported):
    rows = [{"email": "a@example.com", "result": "assigned"}]
    shown = reported("json", rows=iter(rows), data={"free": 3})
    assert json.loads(shown.out) == {
        "run": 7,
        "dry_run": False,
        "summary": "2 seats",
        "undo": "seatctl runs undo 7",
        "free": 3,
        "rows": rows,
    }
    assert shown.err == ""


def test_a_report_elsewhere_has_its_rows_on_stdout_and_the_rest_on_stderr(reported):
    rows = [{"email": "a@example.com", "result": "assigned"}]
    shown = reported("tsv", rows=iter(rows), columns=("email", "result"))
    assert shown.out == "email\tresult\na@example.com\tassigned\n"
    assert shown.err == "2 seats\nundo: seatctl runs undo 7\n"
    assert reported("tsv").out == ""


def test_bad_rows_are_in_the_error(capsys):
    rows = [{"line": 3, "email": "bad@", "error": "not an e-mail address"}]
    error = BadInput("1 bad row", data={"rows": rows}, hint="--skip-bad does the rest")
    output.write_error(error, as_json=True)
    assert json.loads(capsys.readouterr().err)["error"]["rows"] == rows
    output.write_error(error, as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "seatctl: 1 bad row",
        "  line 3: bad@: not an e-mail address",
        "hint: --skip-bad does the rest",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1200, "usd", "$12.00"),
        (-5, "usd", "-$0.05"),
        (1200, "jpy", "¥1,200"),
        (1250, "rsd", "RSD\xa012.50"),
        (120000, "isk", "ISK\xa01,200"),
        (12340, "kwd", "KWD\xa012.340"),
        (10**12 + 1, "eur", "€10,000,000,000.01"),
    ],
)
def test_money_is_written_with_stripes_decimals(amount, currency, text, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert local_money(amount, currency) == text


def test_money_follows_the_readers_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert local_money(123456, "eur") == "1.234,56\xa0€"
    for plain in ("C", "POSIX", "C.UTF-8", "xx_XX"):
        monkeypatch.setenv("LC_ALL", plain)
        assert local_money(123456, "eur") == "€1,234.56"


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(seconds=-20), "now"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=-5), "5 hours ago"),
        (timedelta(days=1), "in 1 day"),
        (timedelta(days=13), "in 13 days"),
        (timedelta(days=-21), "3 weeks ago"),
        (timedelta(days=-90), "2026-03-03"),
    ],
)
def test_times_are_told_from_now(distance, text):
    assert relative_time(format_time(NOW + distance), NOW) == text


@pytest.mark.parametrize(
    ("env", "argv", "colored"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({}, ["--color", "never"], False),
    ],
)
def test_color_on_a_terminal(sandbox, env, argv, colored):
    out = sandbox("config", "profiles", *argv, env=env, tty=True).out
    assert ("\x1b[1m" in out) is colored


@pytest.mark.parametrize(
    ("env", "argv", "colored"),
    [({}, [], False), ({"CLICOLOR_FORCE": "1"}, [], True), ({"CLICOLOR_FORCE": "0"}, [], False)],
)
def test_color_in_a_pipe(sandbox, env, argv, colored):
    out = sandbox("config", "profiles", "-o", "table", *argv, env=env).out
    assert ("\x1b[1m" in out) is colored


def test_a_terminal_gets_a_table_and_a_pipe_tsv(sandbox):
    terminal = sandbox("config", "profiles", tty=True, env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert terminal.out.startswith("Profile")
    assert sandbox("config", "profiles").out.startswith("profile\tmode")


def test_a_format_comes_from_flag_then_environment_then_profile(sandbox):
    sandbox("config", "set", "output", "json")
    assert sandbox("config", "profiles").json
    assert sandbox("config", "profiles", env={"SEATCTL_OUTPUT": "csv"}).out.startswith("profile,mode")
    assert sandbox("config", "profiles", "-o", "tsv", env={"SEATCTL_OUTPUT": "csv"}).out.startswith(
        "profile\t"
    )


def test_a_name_that_the_encoding_lacks_is_spelled_out(sandbox):
    command = 'config set stripe_key_command "pass 鍵" -o json'
    script = f'PYTHONIOENCODING=latin-1 "{sandbox.python}" -m seatctl {command}'
    done = sandbox.shell(script)
    assert (done.returncode, r"\u9375" in done.stdout) == (0, True)


def test_one_is_not_many():
    assert [counted(1, "seat"), counted(0, "seat"), counted(12_000, "audit entry"), counted(2, "key")] == [
        "1 seat",
        "0 seats",
        "12,000 audit entries",
        "2 keys",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("target", "why"), [(">/dev/full", "No space left"), (">&-", "it is closed")])
@pytest.mark.parametrize("command", ["config path", "--help"])
def test_output_that_cannot_be_written_is_no_bug(sandbox, command, target, why, unbuffered):
    env = {**sandbox.environment(), "PYTHONUNBUFFERED": unbuffered}
    line = f'"{sys.executable}" -m seatctl {command} {target}'
    done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 74
    assert done.stderr.startswith(f"seatctl: the output cannot be written: {why}")
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr


def test_sentences_in_one_cell_stay_sentences(sandbox, team):
    (row,) = csv.DictReader(io.StringIO(sandbox("subs", "show", team, "-o", "csv").out))
    rules = sandbox("subs", "show", team, "-o", "json").json["rules"]
    assert row["rules"] == " ".join(rules)
    assert ".," not in row["rules"]


def test_a_list_of_texts_with_commas_stays_a_list():
    assert plain_cell(["a", "b"]) == "a,b"
    assert json.loads(plain_cell(["a, b", "c"])) == ["a, b", "c"]
