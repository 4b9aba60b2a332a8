"""The texts of `seatctl help TOPIC`. What can be derived from the program is: codes, settings, formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatctl.cli import error_codes
from seatctl.cli.error_codes import EXIT_CODES
from seatctl.config.settings import SETTINGS
from seatctl.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Topic:
    """A help page: its line in the list, and its text."""

    title: str
    text: Callable[[], str]


def contents() -> str:
    """The list of topics."""
    width = max(map(len, TOPICS))
    lines = [f"  {name:<{width}}  {topic.title}" for name, topic in TOPICS.items()]
    return "\n".join(
        ["Topics:", *lines, "", "seatctl help TOPIC shows one; seatctl --help lists the commands."]
    )


def _exit_codes() -> str:
    lines = [f"  {code.value:>3}  {EXIT_CODES[code]}" for code in ExitCode]
    return "\n".join(
        [
            "Exit codes have one meaning each:",
            "",
            *lines,
            "",
            'With -o json an error is an object on stderr: {"error": {"code", "message", "hint", …}}.',
            "Its code never changes; seatctl help error-codes lists them all. Bad rows (3) come before a",
            "shortage (4); both list their rows in that object and leave stdout empty. 6 prints its report.",
        ]
    )


def _environment() -> str:
    return """\
A flag comes before the environment, the environment before the profile, the profile before the default.

  SEATCTL_CONFIG           config.toml, or a directory that holds it and everything else
  SEATCTL_PROFILE          the profile to use (-p)
  SEATCTL_LEDGER           the ledger file (--ledger)
  SEATCTL_ACTOR            who acts (--as): an e-mail address or ci:NAME
  SEATCTL_OUTPUT           the output format (-o)
  SEATCTL_STRIPE_KEY       the Stripe key of a test or live profile; then STRIPE_API_KEY
  SEATCTL_STRIPE_API_BASE  another server that speaks Stripe's API
  REQUESTS_CA_BUNDLE       certificates to trust, such as a company's CA; then CURL_CA_BUNDLE, SSL_CERT_FILE,
                           the setting stripe.ca_bundle. For the mail server: SSL_CERT_FILE
  SEATCTL_MAIL_PASSWORD    the password of the mail server
  NO_COLOR, CLICOLOR_FORCE, TERM=dumb, COLUMNS   as everywhere
  LC_ALL, LC_MONETARY, LANG                      how tables on a terminal write amounts

A sandbox profile ignores the keys. A key is never taken from an argument: it comes from the environment,
the system keyring (seatctl init --key-stdin), or a command (seatctl config set stripe_key_command '…').

With SEATCTL_CONFIG set, HOME is not needed, and nothing is written outside of that folder except temporary
files, which are deleted (TMPDIR), and files that you name. The telemetry of Stripe's library is turned off.

Without an actor the audit log has os:NAME, the user of the operating system."""


def _formats() -> str:
    return """\
-o table     for people; the default on a terminal. 50 rows, then how many there are; columns in which no
             row has a value are left out; a narrow terminal gets fewer, or a page for each row
-o tsv       the default where stdout is no terminal: one line per record, for cut and awk
-o csv       for spreadsheets: a cell that would run as a formula gets an apostrophe in front, which
             import and --from take away again
-o json      a list is an array, a single thing an object
-o jsonl     one object per line
-o markdown  for reports

Results go to stdout, everything else to stderr. Machine formats are never cut short. Keys are snake_case
and stable, times are UTC as 2026-01-31T12:00:00Z, money is minor units as integers with currency beside
(1200 and usd is 12.00 USD).

--fields a,b   these fields in this order        --no-header   no header line
-q             handles only: names, e-mails, numbers, one per line

A command that changes something prints {"run", "dry_run", "summary", "undo", "rows": [{…, "result",
"error"}]}; "undo" is the command that takes it back, or null. "warnings", if there are any, are
sentences that stderr has too: above all that Stripe asked for something else than was shown, with the
command that reverses it; its row then has "shown", "charged" and "difference"."""


def _policies() -> str:
    return """\
A plan's policy says how its seats are bought, changed and given back. Two presets, --policy flexible and
--policy term, and single fields on top of them (seatctl plans add --help).

  field                flexible       term
  pack_size            1              5                      seats are sold in packs of
  min_seats            1              5
  max_seats            none           none
  increase             prorate_now    full_price             how added seats are paid for
  decrease             at_renewal     renewal_window         when seats can be given back
  plan_change          anytime        renewal_window
  renewal              automatic      manual                 manual: ends unless somebody renews
  renewal_window_days  30             30
  addon_cutoff_days    0              30                     no increase in the last N days unless renewed
  lock_price           no             yes                    add-ons cost what the term began with
  discounts            anytime        purchase_and_renewal
  on_account           yes            purchase_and_renewal   pay by invoice
  grace_days           7              0                      past due still entitles for N days
  features             none           none                   what a seat gives: check --feature asks for one
  sign_in_url          none           none                   where a seat is used
  support_contact      none           none                   whom to ask for what the policy leaves open

What the fields take besides numbers, yes and no, and none:

  increase     prorate_now, prorate_next_invoice, full_price
  decrease     now, at_renewal, renewal_window
  plan_change  anytime, renewal_window
  renewal      automatic, manual
  discounts    anytime, purchase_and_renewal
  on_account   yes, no, purchase_and_renewal
  features     names separated by commas

A subscription keeps the policy and price under which it was bought or last renewed: editing a plan never
rewrites a running contract. seatctl plans show PLAN explains a policy in sentences."""


def _files() -> str:
    return """\
  config.toml   profiles and their settings (seatctl config path)
  ledger.db     the ledger of a profile: a SQLite file (seatctl ledger path)
  sandbox.db    the embedded Stripe of a sandbox profile
  log/          calls to Stripe and unexpected errors, without keys

All are created readable by their owner only. seatctl ledger backup copies a ledger while others write to it;
a plain copy of the file may lack the last changes.

Input (import, --from FILE, - for stdin): CSV, TSV or JSON with a header of any order and case;
email is required, name, group and last_active are understood, in seats assign also until (when the seat
ends); --map email='Work Email' names another column. Every row is judged before anything is written. By
default nothing is written if any row is bad (exit 3); --skip-bad does the rest (exit 6)."""


def _money() -> str:
    return """\
Amounts are typed as decimals in the plan's currency (--price 12.00) and kept as integers in the currency's
minor unit, as Stripe has them: 1200 for 12.00 USD, 1200 for 1200 JPY, and multiples of 10 for currencies
with three decimals. ISK and UGX take whole units only.

Every purchase shows Stripe's own preview of the amount due and asks, or needs --yes; --max-spend AMOUNT
refuses to charge more than that. --request-id KEY makes repeating a purchase safe: the second one finds
the first. An interrupted purchase is finished or undone by seatctl sync, charged once or not at all.
Revoking a person never changes what is billed."""


def _settings() -> str:
    lines = [f"  {setting.key:<26}{setting.help}" for setting in SETTINGS.values()]
    return "\n".join(
        ["Settings of a profile: seatctl config set KEY VALUE, config get KEY, config unset KEY.", "", *lines]
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
What an owner may, they may for the subscriptions that they own. A role is given for everything or for one
subscription: seatctl roles grant ACTOR ROLE [--subscription NAME]. Everybody may read, and request or cancel
for themselves. The actor of seatctl init is the first admin; the last admin stays. Roles follow a new e-mail;
those of a suspended user permit nothing until they are reactivated.

Roles guard against mistakes: who can write the ledger's file can write anything in it."""


def _notifications() -> str:
    return """\
Messages are kept in the ledger with the change they tell of, and sent by SMTP once a server is set:

  seatctl config set mail.host smtp.example.com
  seatctl config set mail.from 'Seats <seats@example.com>'
  seatctl config set mail.user seats@example.com
  seatctl notify test --password-stdin < password

The password comes from SEATCTL_MAIL_PASSWORD, the system keyring, or mail.password_command. A command
sends its own messages, at most 20 and for at most 5 seconds; seatctl notify send sends the rest, and
belongs into cron beside seatctl sync, which queues failed payments, receipts of renewals, and reminders
(30, 7 and 1 days before a term ends; terms under three months that renew by themselves have none).
What cannot be delivered is tried again; seatctl notify list --failed shows what needs a
person. --no-notify queues nothing.

A directory templates beside config.toml may hold texts of your own, templates/PROFILE those of one
profile: NAME.txt sets the subject and is the plain text, NAME.html the same as HTML (Jinja2, escaped).
Filters: day (of a time), line (one line, without what cannot be seen), word (quoted for the shell).

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
Tab completes commands, options and output formats. Put the line of your shell where it starts:

  bash   eval "$(_SEATCTL_COMPLETE=source_bash seatctl)"     # ~/.bashrc
  zsh    eval "$(_SEATCTL_COMPLETE=source_zsh seatctl)"      # ~/.zshrc, after compinit
  fish   _SEATCTL_COMPLETE=source_fish seatctl | source      # ~/.config/fish/config.fish

The same scripts lie in the folder completions of the repository, for packagers."""


TOPICS: dict[str, Topic] = {
    "exit-codes": Topic("what each exit code means", _exit_codes),
    "error-codes": Topic("what each error code of -o json means", error_codes.text),
    "environment": Topic("environment variables, precedence, keys", _environment),
    "settings": Topic("what config.toml can hold", _settings),
    "formats": Topic("output formats and streams", _formats),
    "files": Topic("where things are kept, and what can be imported", _files),
    "policies": Topic("how a plan's seats are bought and given back", _policies),
    "money": Topic("amounts, previews, limits, repeating safely", _money),
    "roles": Topic("who may do what", _roles),
    "notifications": Topic("messages by mail, and texts of your own", _notifications),
    "completion": Topic("completing with Tab in bash, zsh and fish", _completion),
}
