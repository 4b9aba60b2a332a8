"""The catalogue of refusals, the exit codes, and the exceptions that carry them.

A refusal has a stable code, an exit code and a meaning: one line of `Code`. It is raised with
`refuse(Code.NAME_TAKEN, message, hint=…, data=…)`. The message says what happened; the hint is what to type
next, a command that would be accepted; `-o json` prints the data. A class of its own is only for a refusal
that is caught by name or has behaviour. `cli.program.main` turns an error into an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | list["JsonValue"] | dict[str, "JsonValue"]


class ExitCode(IntEnum):
    """The exit codes, with one meaning each; `seatctl help exit-codes` prints them."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    BAD_INPUT = 3
    REFUSED = 4
    STRIPE_REFUSED = 5
    PARTIAL = 6
    NO = 7
    NOT_ALLOWED = 8
    NOT_FOUND = 9
    WAITING = 10
    LEDGER = 74
    TRY_AGAIN = 75
    INTERRUPTED = 130


class Refusal:
    """One line of the catalogue: an exit code and a meaning. Its code is its name and never changes."""

    __slots__ = ("code", "exit_code", "meaning")

    def __init__(self, exit_code: int, meaning: str, *, code: str = "") -> None:
        self.exit_code = ExitCode(exit_code)
        self.meaning = meaning
        self.code = code

    def __set_name__(self, owner: type, name: str) -> None:
        self.code = self.code or name.lower()


class Code:
    """The catalogue of refusals. `seatctl help error-codes` and docs/error-codes.md print it."""

    # Exit code 2, usage
    BAD_PAYMENT_METHOD = Refusal(2, "Not a pm_ or tok_ id. It may be a card number, so it is not repeated.")
    KEY_IN_ARGUMENTS = Refusal(2, "A Stripe key is among the arguments, where keys are never read.")
    ARGUMENT_NOT_UTF8 = Refusal(2, "An argument is not UTF-8.", code="not_utf8")
    STDIN_CLOSED = Refusal(2, "The command reads stdin, and the caller has closed it.")
    UNKNOWN_COMMAND = Refusal(2, "There is no command of this name.")
    UNKNOWN_SETTING = Refusal(2, "config.toml has no setting of this name.")
    UNSUPPORTED_SYSTEM = Refusal(2, "The operating system lacks something that the program needs.")
    USAGE = Refusal(2, "The command line is wrong: an option, an argument or a combination.")

    # Exit code 3, bad_input
    BAD_AMOUNT = Refusal(3, "Not an amount of the currency.")
    BAD_CA_BUNDLE = Refusal(3, "The file of trusted certificates cannot be read.")
    BAD_CODE = Refusal(3, "Not an activation code.")
    BAD_CONFIG = Refusal(3, "config.toml cannot be read.")
    BAD_CURRENCY = Refusal(3, "Not a currency code.")
    BAD_DATE = Refusal(3, "Not a date, or a period that ends before it begins.")
    BAD_EMAIL = Refusal(3, "Not an e-mail address.")
    BAD_INPUT = Refusal(3, "A value, a row or a name in a file is wrong. Nothing was written.")
    BAD_INTERVAL = Refusal(3, "Not a billing interval that Stripe has.")
    BAD_LEDGER_URL = Refusal(3, "The URL of the ledger is not that of a PostgreSQL database.")
    BAD_LINES = Refusal(3, "Some lines of the batch are not commands. No line was run.")
    BAD_NAME = Refusal(3, "Not a usable slug or name.")
    BAD_PLAN = Refusal(3, "The file is not a saved plan, or it was edited.")
    BAD_PLAN_FILE = Refusal(3, "The file of plans cannot be read, or one of its plans is not possible.")
    BAD_POLICY = Refusal(3, "A policy value is unknown, out of range, or would charge twice.")
    BAD_REQUEST = Refusal(3, "The request cannot be made.")
    BAD_ROWS = Refusal(3, "Some rows of the file are wrong. Nothing was written.")
    BAD_RULE = Refusal(3, "An approval rule that nobody could match.")
    BAD_TEMPLATE = Refusal(3, "One of the profile's own mail templates cannot be used.")
    BAD_TEXT = Refusal(3, "A name or a group that does not fit on one line.")
    BAD_TIME = Refusal(3, "Neither a time span such as 14d nor a date.")
    BAD_TOML = Refusal(3, "The file is not TOML, or does not describe seats.")
    EMPTY_FILE = Refusal(3, "The file has no lines.")
    FILE_NOT_READABLE = Refusal(3, "The file exists but cannot be read.")
    NO_ROWS = Refusal(3, "The file has a header and no rows.")
    NO_SUCH_COLUMN = Refusal(3, "A required column is missing, or the file has it twice.")
    NOT_A_FILE = Refusal(3, "The path is a folder, a pipe or a device.")
    NOT_IN_FILE = Refusal(3, "With --prune: a subscription that has people assigned is not in the file.")
    NOT_ROWS = Refusal(3, "The file is text, but not CSV, TSV or JSON.")
    NOT_TEXT = Refusal(3, "The file is a workbook, an archive or another binary file.")
    TEXT_NOT_UTF8 = Refusal(3, "A file or a text is not UTF-8.", code="not_utf8")
    TOO_LONG_FOR_STRIPE = Refusal(3, "A value longer than the 500 characters of Stripe's metadata.")
    UNKNOWN_HOME = Refusal(3, "The path begins with the home folder of an unknown user.")

    # Exit code 9, not_found
    FILE_NOT_FOUND = Refusal(9, "There is no file of this name.")
    NO_BATCH = Refusal(9, "The run is not a batch.")
    NO_LEDGER = Refusal(9, "There is no ledger at this path.")
    NOT_FOUND = Refusal(9, "There is nothing of this name.")
    NOT_SET = Refusal(9, "The setting has no value and no default.")
    UNKNOWN_CODE = Refusal(9, "No seat was ever given this activation code.")
    UNKNOWN_COUPON = Refusal(9, "Stripe has no coupon with this id.")
    UNKNOWN_GRANT = Refusal(9, "The actor does not hold this role.")
    UNKNOWN_INVOICE = Refusal(9, "There is no invoice with this number or Stripe id.")
    UNKNOWN_MESSAGE = Refusal(9, "There is no message with this number.")
    UNKNOWN_PLAN = Refusal(9, "There is no plan with this slug or Stripe id.")
    UNKNOWN_PROFILE = Refusal(9, "config.toml has no profile of this name.")
    UNKNOWN_PROMOTION_CODE = Refusal(9, "Stripe has no active promotion code of this text.")
    UNKNOWN_REQUEST = Refusal(9, "There is no request with this number.")
    UNKNOWN_RUN = Refusal(9, "There is no run with this number.")
    UNKNOWN_SUBSCRIPTION = Refusal(9, "There is no subscription with this name or Stripe id.")
    UNKNOWN_TOPIC = Refusal(9, "There is no help topic and no command of this name.")
    UNKNOWN_USER = Refusal(9, "There is no user with this e-mail address.")

    # Exit code 4, refused
    ADDON_WINDOW_CLOSED = Refusal(4, "The policy allows no more seats in the last days of a term.")
    ALREADY_RENEWED = Refusal(4, "The next term is already paid; the renewal window is closed.")
    ALREADY_SEATED = Refusal(4, "The person who should get the seat already has one in the subscription.")
    BELOW_ASSIGNED = Refusal(4, "More people are assigned than seats would be left.")
    CANNOT_UNDO = Refusal(4, "The run cannot be undone, or `sync` has to finish it.")
    CARD_REQUIRED = Refusal(4, "The policy requires payment by card, at once.")
    CHANGE_WAITS = Refusal(4, "The same change is already planned for the renewal.")
    CHANGED_SINCE = Refusal(4, "A later run depends on the run that would be undone.")
    CLASSIC_BILLING = Refusal(4, "Stripe's classic billing mode would credit an amount that was not billed.")
    CODE_NOT_USABLE = Refusal(4, "The activation code was used or has expired, or its seat is gone.")
    COLLECTION_PAUSED = Refusal(4, "Collection is paused in Stripe: a purchase would not be paid.")
    CUSTOMER_DELETED = Refusal(4, "The paying customer was deleted in Stripe, which ended the subscription.")
    DISCOUNT_NOT_ALLOWED = Refusal(4, "The policy allows discounts only on purchases and renewals.")
    EMAIL_TAKEN = Refusal(4, "Another user has this e-mail address.")
    ENDS_BY_ITSELF = Refusal(4, "The term ends by itself; there is no cancellation to undo.")
    FILE_EXISTS = Refusal(4, "The file to write already exists.")
    FILE_LEDGER = Refusal(4, "The ledger is a file, and this needs one on a PostgreSQL server.")
    FIXED_SETTING = Refusal(4, "The setting was decided by `init` and cannot be changed.")
    HOLDS_ROLES = Refusal(4, "The user still holds roles; revoke them before removing the user.")
    INTERVAL_CHANGE = Refusal(4, "Another billing interval would take effect at once, and cannot now.")
    INVOICE_STATE = Refusal(4, "The invoice is in a state that does not allow this.")
    ITEM_GONE = Refusal(4, "The subscription's item no longer exists in Stripe.")
    LEDGER_NOT_EMPTY = Refusal(4, "There is a ledger with contents where the copy would be made.")
    LAST_ADMIN = Refusal(4, "The last admin keeps the role: nobody else could grant roles.")
    MAIL_NOT_CONFIGURED = Refusal(4, "No mail server is configured, or its settings are not safe.")
    MANAGED_BY_SCHEDULE = Refusal(4, "A schedule in Stripe would overwrite the change.")
    MAX_REVOKE_EXCEEDED = Refusal(4, "More seats would be revoked than --max-revoke allows.")
    MAX_SPEND_EXCEEDED = Refusal(4, "Stripe would charge more than --max-spend allows.")
    NAME_TAKEN = Refusal(4, "A subscription, or a purchase in progress, already has this name.")
    NOTHING_TO_CLAIM = Refusal(4, "The user has no seat that waits to be claimed.")
    NOTHING_TO_GIVE_BACK = Refusal(4, "Ending now refunds nothing: more was used than has been billed.")
    NOTHING_TO_RESUME = Refusal(4, "Every line of the batch has been run.")
    NOTHING_WAITS = Refusal(4, "No customer has to complete or confirm anything.")
    NOT_A_CARD = Refusal(4, "The saved payment method is not a card.")
    NOT_A_SANDBOX = Refusal(4, "The profile works with Stripe itself, or with a sandbox that is served.")
    PAYMENT_METHOD_NOT_ACCEPTED = Refusal(
        4, "The plan or its currency does not take this type of payment method."
    )
    NOT_CONFIRMED = Refusal(4, "The question was answered with no. Nothing was written.")
    NOT_IN_RENEWAL_WINDOW = Refusal(4, "The policy allows this only in the renewal window.")
    NOT_REFUNDABLE = Refusal(4, "Stripe would not refund this invoice. Nothing was canceled.")
    NOT_SEATED = Refusal(4, "The person has no seat in the subscription.")
    NO_LINK = Refusal(4, "Stripe has no page or PDF for this invoice; drafts have none.")
    NO_SEATS_LEFT = Refusal(4, "Fewer seats are free than are needed.")
    NO_UNIT_PRICE = Refusal(
        4, "The price has no amount per seat: it is tiered, by volume, for packs, or fractional."
    )
    OTHER_CURRENCY = Refusal(4, "Stripe keeps a subscription in one currency.")
    PLAN_CURRENCY = Refusal(4, "The plan is not sold in this currency.")
    OVER_ASSIGNED = Refusal(4, "More people have seats than are paid for.")
    OWNER_NEEDS_SUCCESSOR = Refusal(4, "The user owns a subscription; name a new owner first.")
    OWN_FILE = Refusal(4, "The path is one of the program's own files, or the file that is read.")
    PACK_SIZE = Refusal(4, "The plan is sold in packs, and the number of seats is not a multiple of a pack.")
    PLAN_ARCHIVED = Refusal(4, "The plan is archived and no longer sold.")
    PLAN_LOCKED = Refusal(4, "The policy does not allow another plan within the term.")
    PLAN_SOLD_OTHERWISE = Refusal(4, "The new plan renews, or charges added seats, in another way.")
    PLAN_WITHOUT_POLICY = Refusal(4, "The plan was adopted from Stripe and has no policy yet.")
    PORT_TAKEN = Refusal(4, "The port cannot be opened.")
    PRICE_ARCHIVED = Refusal(4, "The price is archived in Stripe.")
    PRICE_CHANGED = Refusal(4, "The price has risen since the preview. Nothing was charged.")
    PROFILE_EXISTS = Refusal(4, "The profile already exists, with another mode.")
    REFUND_FALLS_SHORT = Refusal(4, "Less can be refunded than Stripe says is unused. Nothing was canceled.")
    REFUSED = Refusal(4, "A policy, a limit or a shortage does not allow this. Nothing was written.")
    RENEWS_BY_ITSELF = Refusal(4, "The subscription renews automatically.")
    REQUEST_CLOSED = Refusal(4, "The request was decided before, or it has expired.")
    REQUEST_ID_REUSED = Refusal(4, "The request id was used before for something else.")
    SANDBOX_NOT_SHARED = Refusal(4, "The ledger is on a server, but the sandbox is a file of this machine.")
    SAME_LEDGER = Refusal(4, "A ledger cannot be restored or copied onto itself.")
    SERVER_LEDGER = Refusal(4, "The ledger is on a server, where this is done with PostgreSQL's own tools.")
    SERVER_NOT_TRUSTED = Refusal(4, "The ledger's server has no TLS, or a certificate is not accepted.")
    SEVERAL_CURRENCIES = Refusal(4, "One spending limit cannot cover two currencies.")
    SHARED_SUBSCRIPTION = Refusal(4, "The change would affect others in the same Stripe subscription.")
    SLUG_TAKEN = Refusal(4, "A plan, or a price in Stripe, already has this slug.")
    STALE_PLAN = Refusal(4, "The ledger, a price or a renewal date has changed since the plan was saved.")
    SUBSCRIPTION_NOT_ACTIVE = Refusal(4, "The subscription's status does not allow assignments.")
    SUBSCRIPTION_NOT_RUNNING = Refusal(4, "The subscription has ended or was never paid.")
    TAX_UNKNOWN = Refusal(4, "Stripe adds tax and cannot say how much, so the preview is too low.")
    TERM_TOO_LONG = Refusal(4, "The next term would end later than Stripe allows. Nothing was charged.")
    TLS_REQUIRED = Refusal(4, "The connection to the ledger's server would not be encrypted.")
    TOO_FEW_SEATS = Refusal(4, "Fewer seats than the plan allows.")
    TOO_MANY_SEATS = Refusal(4, "More seats than the plan allows.")
    UNDONE_ALREADY = Refusal(4, "The run was undone before.")
    UNPAID_CREDIT = Refusal(4, "Stripe might credit what was never paid for: a payment failed in this term.")
    USER_EXISTS = Refusal(4, "The user exists with another name or group.")
    USER_NOT_ACTIVE = Refusal(4, "The user is suspended or removed.")
    USER_REMOVED = Refusal(4, "The user was removed.")

    # Exit code 8, not_allowed
    ACCOUNT_UNKNOWN = Refusal(8, "Nothing says which Stripe account the key belongs to.")
    FOREIGN_LEDGER = Refusal(8, "Another ledger, or none, is the home of the subscription.")
    KEY_LACKS_PERMISSION = Refusal(8, "The restricted key lacks a permission (403).")
    KEY_REJECTED = Refusal(8, "Stripe does not accept the key (401).")
    LEDGER_REFUSED = Refusal(8, "The ledger's server does not let this user in.")
    MODE_MISMATCH = Refusal(8, "The profile, the ledger and the Stripe account differ in mode or account.")
    NOT_ALLOWED = Refusal(8, "The actor's role, the key or the ledger does not permit this.")
    NO_KEY = Refusal(8, "The profile needs a Stripe key and none was found.")
    OTHER_ACCOUNT = Refusal(8, "The key belongs to another Stripe account than the ledger.")
    WRONG_ACCOUNT = Refusal(8, "The key belongs to another Stripe account than the one named.")
    WRONG_KEY = Refusal(8, "The key is for another mode, or is not a secret key.")

    # Exit code 5, stripe_refused
    AUTHENTICATION_REQUIRED = Refusal(5, "The bank asks the cardholder to confirm; the payment was not made.")
    CARD_DECLINED = Refusal(5, "The bank declined the payment. Nothing was charged.")
    STRIPE_INVALID_REQUEST = Refusal(5, "Stripe does not accept the request.")
    STRIPE_REFUSED = Refusal(5, "Stripe refused the request.")
    STRIPE_RESOURCE_MISSING = Refusal(5, "Stripe has no object with this id.")

    # Exit code 10, waiting
    WAITING_FOR_CARDHOLDER = Refusal(
        10,
        "The cardholder has to confirm on Stripe's page.",
        code="authentication_required",
    )
    PAYMENT_PROCESSING = Refusal(10, "The bank is processing the payment. Nobody has to do anything.")
    WAITING_FOR_CHECKOUT = Refusal(
        10, "Somebody has to complete Stripe's page. Nothing is charged until then."
    )

    # Exit code 74, ledger
    CANNOT_WRITE = Refusal(74, "The file cannot be written.")
    COPY_DIFFERS = Refusal(74, "The copy of a ledger is not the same as the ledger. It is not used.")
    COPY_UNFINISHED = Refusal(74, "The ledger is a copy that was interrupted before it was finished.")
    CONFIG_NOT_WRITABLE = Refusal(74, "config.toml or its folder cannot be written.")
    DISK_FULL = Refusal(74, "The disk is full.")
    LEDGER = Refusal(74, "The ledger, a file or stdout cannot be read or written.")
    LEDGER_CORRUPT = Refusal(74, "The file is damaged, or is not a ledger.")
    LEDGER_DAMAGED = Refusal(74, "SQLite can read the ledger, but its contents are not what was written.")
    LEDGER_IO = Refusal(74, "The disk or the operating system failed.")
    LEDGER_MODE = Refusal(74, "The ledger was made for another mode or Stripe account.")
    LEDGER_MOVED = Refusal(74, "The ledger was moved to another place, and is used only there.")
    LEDGER_NEWER = Refusal(74, "A later version wrote the ledger.")
    LEDGER_OLDER = Refusal(74, "The ledger on a server has an earlier schema, which its owner must migrate.")
    LEDGER_READ_ONLY = Refusal(74, "This user cannot open or write the ledger.")
    NO_HOME = Refusal(74, "The user has no home folder and no location was configured.")
    OUTPUT_FAILED = Refusal(74, "The output cannot be written.")
    POSTGRES_MISSING = Refusal(74, "The ledger is on a server, and Python's driver for it is not installed.")
    SANDBOX_UNUSABLE = Refusal(74, "The sandbox's file cannot be read or written.")
    SERVER_TOO_OLD = Refusal(74, "The ledger's server or its database lacks something that is needed.")
    SQLITE_TOO_OLD = Refusal(74, "Python's SQLite lacks something that the ledger needs.")
    SYSTEM_REFUSED = Refusal(74, "The operating system does not allow a file to be read or written.")
    UNKNOWN_OPERATION = Refusal(74, "The ledger has an operation that a later version began.")

    # Exit code 75, try_again
    BATCH_BUSY = Refusal(75, "Another process is running this batch.")
    BUSY = Refusal(75, "Another process is running or recovering a payment operation.")
    DOWNLOAD_FAILED = Refusal(75, "The PDF did not arrive complete. No file was left behind.")
    LEDGER_BUSY = Refusal(75, "Another process holds the ledger's write lock.")
    LEDGER_REPLACED = Refusal(75, "A backup has replaced the ledger since this command opened it.")
    LEDGER_UNREACHABLE = Refusal(75, "The ledger's server cannot be reached, or the connection was lost.")
    MAIL_BUSY = Refusal(75, "Another process is sending this ledger's messages.")
    MAIL_SERVER = Refusal(75, "The mail server cannot be reached or refused the login.")
    OPERATION_PENDING = Refusal(75, "An earlier operation of the subscription had to be finished first.")
    OUT_OF_RESOURCES = Refusal(75, "The system has no more memory or threads for this process.")
    PLAN_CHANGED = Refusal(75, "Another process changed the plan meanwhile.")
    RATE_LIMITED = Refusal(75, "Stripe asked to slow down (429). The call was not carried out.")
    STRIPE_ANSWER_UNREADABLE = Refusal(75, "The answer was not Stripe's. The call may have been carried out.")
    STRIPE_FAULT = Refusal(75, "Stripe failed (5xx). The call may have been carried out.")
    STRIPE_LIST_UNREADABLE = Refusal(75, "One of Stripe's lists could not be read to its end.")
    STRIPE_OBJECT_UNREADABLE = Refusal(75, "This version does not understand an object that Stripe sent.")
    STRIPE_UNREACHABLE = Refusal(75, "Stripe did not answer. The call may have been carried out.")
    SUBSCRIPTION_CHANGED = Refusal(75, "Another command changed the subscription meanwhile.")
    TOO_MANY_FILES = Refusal(75, "The process or the system has no file descriptors left.")
    TRY_AGAIN = Refusal(75, "A passing condition. Try again later.")

    # Exit code 130, interrupted
    INTERRUPTED = Refusal(130, "The command was interrupted. `runs resume` continues a batch.")

    # Exit code 1, unexpected
    DEMO_FAILED = Refusal(1, "A command of the demo did not end as it should. This is a bug.")
    MESSAGE_REFUSED = Refusal(1, "The mail server refused a message.")
    UNEXPECTED = Refusal(1, "A bug. The log has the details.")
    WRITE_IN_DRY_RUN = Refusal(1, "A dry run tried to write to Stripe and was stopped. This is a bug.")


def catalogue() -> list[Refusal]:
    """Return every refusal, sorted by code."""
    refusals = (value for value in vars(Code).values() if isinstance(value, Refusal))
    return sorted(refusals, key=lambda refusal: (refusal.code, refusal.exit_code))


class SeatctlError(Exception):
    """Base of every error that a user sees. `kind` is its line in the catalogue."""

    kind: Refusal = Code.UNEXPECTED

    def __init__(
        self, message: str, *, hint: str | None = None, data: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data: dict[str, JsonValue] = dict(data or {})

    @property
    def code(self) -> str:
        """The stable code; scripts rely on it."""
        return self.kind.code

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the program."""
        return self.kind.exit_code

    def as_json(self) -> dict[str, JsonValue]:
        """Return the object under `error` of `-o json`: code, message, hint, then the data."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class UsageError(SeatctlError):
    """The command line is wrong: an option, an argument, a combination."""

    kind = Code.USAGE


class BadInput(SeatctlError):
    """A value, a row or a name in a file is wrong; nothing was written."""

    kind = Code.BAD_INPUT


class Refused(SeatctlError):
    """A policy, a limit, a stale plan or a shortage does not allow this; nothing was written."""

    kind = Code.REFUSED


class StripeRefused(SeatctlError):
    """Stripe refused the request: a declined card, a bad parameter."""

    kind = Code.STRIPE_REFUSED


class NotAllowed(SeatctlError):
    """The actor's role, the key or the ledger does not permit this."""

    kind = Code.NOT_ALLOWED


class NotFound(SeatctlError):
    """A thing named as an argument does not exist."""

    kind = Code.NOT_FOUND


class LedgerError(SeatctlError):
    """The ledger, a file or stdout cannot be read or written: corrupt, read-only, full, newer version."""

    kind = Code.LEDGER


class TryAgain(SeatctlError):
    """A passing condition: network, rate limit, busy ledger, another payment operation in progress."""

    kind = Code.TRY_AGAIN


_FAMILIES: dict[ExitCode, type[SeatctlError]] = {
    family.kind.exit_code: family
    for family in (UsageError, BadInput, Refused, StripeRefused, NotAllowed, NotFound, LedgerError, TryAgain)
}


def refuse(
    kind: Refusal, message: str, *, hint: str | None = None, data: Mapping[str, JsonValue] | None = None
) -> SeatctlError:
    """Return the error to raise for a refusal of the catalogue, of the class for its exit code."""
    error = _FAMILIES.get(kind.exit_code, SeatctlError)(message, hint=hint, data=data)
    error.kind = kind
    return error
