"""`seatctl help [TOPIC]`: everything that does not belong to one command.

Codes, settings and formats are derived from the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from seatctl.app.context import Context
from seatctl.cli import error_codes
from seatctl.cli.error_codes import EXIT_CODES
from seatctl.cli.framework import catalogue
from seatctl.cli.framework.app import execute
from seatctl.cli.framework.commands import Commands, argument
from seatctl.config.settings import LISTED
from seatctl.errors import Code, ExitCode, refuse
from seatctl.output.emit import write_text
from seatctl.output.style import Format

app = Commands()


class Topic(NamedTuple):
    """A help page: its line in the list, and its text."""

    title: str
    text: Callable[[], str]


def contents() -> str:
    """Return the list of topics."""
    width = max(map(len, TOPICS))
    lines = [f"  {name:<{width}}  {topic.title}" for name, topic in TOPICS.items()]
    return "\n".join(
        ["Topics:", *lines, "", "seatctl help TOPIC shows one; seatctl --help lists the commands."]
    )


def _exit_codes() -> str:
    lines = [f"  {code.value:>3}  {EXIT_CODES[code]}" for code in ExitCode]
    return "\n".join(
        [
            "Each exit code has one meaning:",
            "",
            *lines,
            "",
            'With -o json an error is an object on stderr: {"error": {"code", "message", "hint", …}}.',
            "Its code never changes; seatctl help error-codes lists them. Bad rows (3) are reported before a",
            "shortage (4); both list their rows in that object and print nothing on stdout. 6 has a report.",
        ]
    )


def _environment() -> str:
    return """\
A flag overrides the environment, the environment the profile, and the profile the default.

  SEATCTL_CONFIG           config.toml, or a folder for it and everything else
  SEATCTL_PROFILE          the profile to use (-p)
  SEATCTL_LEDGER           the ledger (--ledger): a file, or postgresql://USER:PASSWORD@HOST/DATABASE
  SEATCTL_MODE             the mode that the ledger must have: sandbox, test or live
  SEATCTL_SANDBOX          the sandbox's file
  SEATCTL_ACTOR            the actor (--as): an e-mail address or ci:NAME
  SEATCTL_OUTPUT           the output format (-o)
  SEATCTL_STRIPE_KEY       the Stripe key of a test or live profile; else STRIPE_API_KEY
  SEATCTL_STRIPE_API_BASE  another server that speaks Stripe's API
  SEATCTL_STRIPE_CONTEXT   the account to act on, for the key of a platform or an organisation
  REQUESTS_CA_BUNDLE       certificates to trust, such as a company's CA; else CURL_CA_BUNDLE, SSL_CERT_FILE,
                           the setting stripe.ca_bundle. For the mail server: SSL_CERT_FILE
  SEATCTL_MAIL_PASSWORD    the password of the mail server
  PGPASSFILE, PGSERVICE, PGSSLMODE, PGSSLROOTCERT, …   as in all clients of PostgreSQL
  NO_COLOR, CLICOLOR_FORCE, TERM=dumb, COLUMNS   as in other programs
  LC_ALL, LC_MONETARY, LANG                      how tables on a terminal format amounts

With the URL of a ledger in SEATCTL_LEDGER, no config.toml is needed: the mode and the Stripe account are
those of the ledger. A test or live ledger also needs SEATCTL_STRIPE_KEY for commands that work with Stripe.

A sandbox profile ignores the keys. A key is never an argument: it comes from the environment,
the system keyring (seatctl init --key-stdin), or a command (seatctl config set stripe_key_command '…').

With SEATCTL_CONFIG set, HOME is not needed, and nothing is written outside of that folder except temporary
files (in TMPDIR, deleted afterwards) and files that you name. The Stripe library's telemetry is turned off.

Without an actor the audit log records os:NAME, the user of the operating system."""


_FORMATS = {
    Format.TABLE: """\
for people; the default on a terminal. It shows 50 rows and their total number, and leaves out
empty columns; a narrow terminal gets fewer columns, or a page for each row""",
    Format.JSON: "a list is an array, a single record an object",
    Format.JSONL: "one object per line",
    Format.CSV: """\
for spreadsheets: a cell that would run as a formula gets an apostrophe in front, which
import and --from remove again""",
    Format.TSV: "the default if stdout is not a terminal: one line per record, for cut and awk",
    Format.MARKDOWN: "for reports",
}


def _formats() -> str:
    width = max(map(len, Format))
    lines = [f"-o {name:<{width}}  " + _FORMATS[name].replace("\n", f"\n{'':{width + 5}}") for name in Format]
    return "\n".join([*lines, _RESULTS])


_RESULTS = """
Results go to stdout, everything else to stderr. Machine formats are never cut short. Keys are snake_case
and stable, times are UTC (2026-01-31T12:00:00Z), money is an integer in minor units with its currency
(1200 and usd is 12.00 USD).

--fields a,b   these fields in this order        --no-header   no header line
-q             handles only: names, e-mails, numbers, one per line

A command that changes something prints {"run", "dry_run", "summary", "undo", "rows": [{…, "result",
"error"}]}; "undo" is the command that reverses it, or null. "warnings", if there are any, are sentences
that stderr has too, above all that Stripe charged another amount than was shown, with the command that
reverses the change; the row then has "shown", "charged" and "difference"."""


def _policies() -> str:
    return """\
A plan's policy says how its seats are bought, changed and removed. Start from a preset, --policy flexible
or --policy term, and change single fields with --set (seatctl plans add --help).

  field                  flexible       term
  pack_size              1              5                      seats are sold in packs of N
  min_seats              1              5
  max_seats              none           none
  increase               prorate_now    full_price             how added seats are charged
  decrease               at_renewal     renewal_window         when seats can be removed
  plan_change            anytime        renewal_window
  renewal                automatic      manual                 manual: ends unless it is renewed
  renewal_window_days    30             30
  addon_cutoff_days      0              30                     no added seats in a term's last N days
  lock_price             no             yes                    added seats cost what the term began with
  discounts              anytime        purchase_and_renewal
  on_account             yes            purchase_and_renewal   pay by invoice
  trial_days             0              0                      a purchase begins with N free days
  trial_without_card     no             no                     whether a trial needs no card
  payment_methods        any            any                    the types of payment methods that are taken
  seats_while_processing no             no                     new seats are usable before a bank has paid
  grace_days             7              0                      a past due seat stays usable for N days
  features               none           none                   what a seat includes; see check --feature
  sign_in_url            none           none                   the page to use a seat
  support_contact        none           none                   whom to ask for exceptions

Values other than numbers, yes, no and none:

  increase     prorate_now, prorate_next_invoice, full_price
  decrease     now, at_renewal, renewal_window
  plan_change  anytime, renewal_window
  renewal      automatic, manual
  discounts    anytime, purchase_and_renewal
  on_account   yes, no, purchase_and_renewal
  trial_without_card  no, pause, cancel: what the end of a trial without a card does
  payment_methods  any (what the Stripe account allows), or some of card, link, sepa_debit, us_bank_account,
                   bacs_debit, au_becs_debit, acss_debit, separated by commas
  features     names separated by commas

A subscription keeps the policy and price under which it was bought or last renewed: editing a plan does not
change a running contract. seatctl plans show PLAN explains a policy in sentences."""


def _files() -> str:
    return """\
  config.toml   profiles and their settings (seatctl config path)
  ledger.db     the ledger of a profile: a SQLite file (seatctl ledger path)
  sandbox.db    the simulated Stripe account of a sandbox profile
  log/          calls to Stripe and unexpected errors, without keys

All are created readable by their owner only. seatctl ledger backup copies a ledger that is in use; a plain
copy of the file may lack the last changes.

Input (import, --from FILE, - for stdin): CSV, TSV or JSON, with columns in any order and case. email is
required; name, group and last_active are optional, in seats assign also until (when the seat ends).
--map email='Work Email' names another column. Every row is checked before anything is written. If any row is
bad, nothing is written (exit 3), unless --skip-bad skips the bad rows (exit 6)."""


def _money() -> str:
    return """\
Amounts are typed as decimals in the plan's currency (--price 12.00) and stored as integers in the currency's
minor unit, as in Stripe: 1200 for 12.00 USD, 1200 for 1200 JPY, and multiples of 10 for currencies with
three decimals. ISK and UGX take whole units only.

Every purchase shows Stripe's own preview of the amount due and asks, or needs --yes; with --max-spend AMOUNT
it refuses to charge more. --request-id KEY makes it safe to repeat a purchase: the second command finds the
first purchase. seatctl sync finishes or undoes an interrupted purchase, which is charged once or not at all.
Revoking a seat never changes what is billed."""


def _settings() -> str:
    lines = [
        f"  {setting.key + '*' if setting.policy else setting.key:<26}{setting.help}"
        for setting in LISTED.values()
    ]
    return "\n".join(
        [
            "Settings of a profile: seatctl config set KEY VALUE, config get KEY, config unset KEY.",
            "Those with * are stored in the ledger: they count on every machine that uses it.",
            "",
            *lines,
        ]
    )


def _roles() -> str:
    from seatctl.models.role import Action, Role
    from seatctl.rules.permissions import MATRIX

    roles = (Role.ADMIN, Role.OWNER, Role.ASSIGNOR, Role.VIEWER)
    lines = [
        f"  {action.value:<34}" + "".join(f"{'yes' if role in MATRIX[action] else '-':<10}" for role in roles)
        for action in Action
    ]
    head = f"  {'':<34}" + "".join(f"{role.value:<10}" for role in roles)
    return "\n".join([head.rstrip(), *(line.rstrip() for line in lines), _ROLES])


_ROLES = """
Owners have their rights for the subscriptions that they own. A role is granted for everything or for one
subscription: seatctl roles grant ACTOR ROLE [--subscription NAME]. Everybody may read, and request or cancel
for themselves. The actor of seatctl init is the first admin; the last admin cannot be removed. Roles follow a
new e-mail address; the roles of a suspended user have no effect until the user is reactivated.

Roles protect against mistakes, not attacks: whoever can write the ledger's file can change anything in it."""


def _notifications() -> str:
    return """\
Messages are stored in the ledger with the change that they report, and sent by SMTP once a server is set:

  seatctl config set mail.host smtp.example.com
  seatctl config set mail.from 'Seats <seats@example.com>'
  seatctl config set mail.user seats@example.com
  seatctl notify test --password-stdin < password

The password comes from SEATCTL_MAIL_PASSWORD, the system keyring, or mail.password_command. A command
sends its own messages, at most 20 and for at most 5 seconds; seatctl notify send sends the rest. Run it from
cron together with seatctl sync, which queues failed payments, receipts of renewals, and reminders (30, 7 and
1 days before a term ends; none for terms of less than three months that renew automatically). Messages that
cannot be delivered are tried again; seatctl notify list --failed shows those that were given up. With
--no-notify nothing is queued.

A folder templates next to config.toml may contain your own texts, templates/PROFILE those of one profile:
NAME.txt sets the subject and is the plain text, NAME.html the same in HTML (Jinja2, escaped). Filters: day
(of a time), line (one line, without invisible characters), word (quoted for the shell).

  seat_assigned, seat_revoked,
  reclaim_warning                    recipient, seat, code, code_expires_at
  request_received, request_denied,
  request_waitlisted                 recipient, request
  request_approved                   recipient, request, seat, code, code_expires_at
  receipt                            recipient, subscription, invoice
  renewal_reminder, payment_failed   recipient, subscription
  owner_changed                      recipient, subscription, from_user, to_user"""


def _completion() -> str:
    return """\
Tab completes commands, options and output formats. Add the line for your shell to its start-up file:

  bash   eval "$(_SEATCTL_COMPLETE=source_bash seatctl)"     # ~/.bashrc
  zsh    eval "$(_SEATCTL_COMPLETE=source_zsh seatctl)"      # ~/.zshrc, after compinit
  fish   _SEATCTL_COMPLETE=source_fish seatctl | source      # ~/.config/fish/config.fish

The same scripts are in the folder completions of the repository, for packagers."""


TOPICS: dict[str, Topic] = {
    "exit-codes": Topic("what each exit code means", _exit_codes),
    "error-codes": Topic("what each error code of -o json means", error_codes.text),
    "environment": Topic("environment variables, precedence, keys", _environment),
    "settings": Topic("what config.toml can contain", _settings),
    "formats": Topic("output formats and streams", _formats),
    "files": Topic("where files are, and what can be imported", _files),
    "policies": Topic("how a plan's seats are bought, changed and removed", _policies),
    "money": Topic("amounts, previews, limits, safe repetition", _money),
    "roles": Topic("who may do what", _roles),
    "notifications": Topic("messages by mail, and your own texts", _notifications),
    "completion": Topic("completion with Tab in bash, zsh and fish", _completion),
}


@app.command("help")
def show_help(
    ctx: Context,
    topic: Annotated[list[str] | None, argument("[TOPIC]", "A topic or a command.")] = None,
) -> None:
    """Explain a topic or a command; without one, list the topics.

    Examples:
      seatctl help
      seatctl help exit-codes
      seatctl help seats assign
    """
    words = topic or []
    if not words:
        write_text(contents())
    elif len(words) == 1 and words[0] in TOPICS:
        write_text(TOPICS[words[0]].text())
    elif words[0] in catalogue.names():
        execute(Context([*words, "--help"], ctx.environment))
    else:
        from seatctl.rules.typed_values import did_you_mean

        known = [*TOPICS, *catalogue.names()]
        hint = did_you_mean(words[0], known, "to list the topics: seatctl help")
        raise refuse(Code.UNKNOWN_TOPIC, f"there is no help on {' '.join(words)!r}", hint=hint)
