"""Download invoices as PDF and open their pages. The Stripe key is never sent to a link."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.app.connections import trusted_certificates
from seatctl.app.context import Context
from seatctl.config.settings import Mode
from seatctl.errors import Code, ExitCode, Refused, TryAgain, UsageError
from seatctl.system.files import STDOUT, CannotWrite, check_target, for_stdout, new_file
from seatctl.system.refusals import expanded

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from seatctl.models.invoice import Invoice
    from seatctl.models.report import Record

COLUMNS = ("number", "file", "bytes", "result", "error")
_NO_PAGES = ("https://sandbox.invalid/", "https://invoice.stripe.com/")
"""The pages of a sandbox, which nobody can open: of this version, and of earlier ones."""
_SECONDS = 60
_CHUNK = 65536
_PDF = b"%PDF"
_DONE = "downloaded"


class NoLink(Refused):
    """Stripe has no page or PDF of this invoice, as of a draft."""

    kind = Code.NO_LINK


class DownloadFailed(TryAgain):
    """The PDF did not arrive in full; nothing was left on disk."""

    kind = Code.DOWNLOAD_FAILED


def open_page(ctx: Context, handle: str) -> None:
    """Print the current address of the invoice's page, and open it if a person has a browser here."""
    import webbrowser

    invoice = _fresh(ctx, _find(ctx, handle))
    if invoice.hosted_url is None:
        raise _no_link(invoice)
    ctx.emit_text(f"{invoice.hosted_url}\n")
    if ctx.interactive and not invoice.hosted_url.startswith(_NO_PAGES):
        with suppress(webbrowser.Error):
            webbrowser.open(invoice.hosted_url)


def download_one(ctx: Context, handle: str, to: str | None) -> None:
    """Download one PDF to the current folder or to `to`; `-` is stdout."""
    from seatctl.models.report import would_have

    invoice = _find(ctx, handle)
    if to == STDOUT:
        with for_stdout() as part:
            done = _download(ctx, invoice, part)
            if ctx.options.dry_run:
                ctx.note(would_have(f"downloaded {done['number']}"))
                return
            ctx.note(f"{done['number']}: {done['result']}")
            if done["result"] == _DONE:
                ctx.emit_file(part)
        return
    path = Path(_file_name(invoice)) if to is None else expanded(to)
    if path.is_dir():
        path /= _file_name(invoice)
    check_target(path, ctx.own_files(), overwrite=False, existing=False)
    _emit(ctx, [_download(ctx, invoice, path)])


def download_period(
    ctx: Context, subscription: str | None, since: str | None, until: str | None, to: str | None
) -> None:
    """Download the PDFs of a period into a folder; skip existing files. Exit code 6 if some failed."""
    from seatctl.ledger import invoices, subscriptions
    from seatctl.rules.dates import period

    first, last = period(since, until)
    with ctx.ledger.reading() as reader:
        subscription_id = None if subscription is None else subscriptions.find(reader, subscription).id
        invoices_found = [
            invoice
            for invoice in invoices.listing(reader, subscription_id=subscription_id, since=first, until=last)
            if invoice.number is not None
        ]
    if to == STDOUT:
        raise UsageError("stdout can take the PDF of one invoice only", hint="name one, or use --to FOLDER")
    folder = expanded(to or "invoices")
    if not ctx.options.dry_run:
        _make(folder)
    _emit(ctx, list(_each(ctx, invoices_found, folder)))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        problem = (
            f"{folder} is a file; a period needs a folder"
            if is_file
            else f"cannot make {folder}: {error.strerror}"
        )
        raise CannotWrite(problem, hint="use --to FOLDER", data={"path": str(folder)}) from error


def _each(ctx: Context, invoices: list[Invoice], folder: Path) -> Iterator[Record]:
    names = [_file_name(invoice) for invoice in invoices]
    times = Counter(names)
    for invoice, name in zip(invoices, names, strict=True):
        # Two invoices must not share a file, or the second would never be downloaded.
        own = name if times[name] == 1 else f"{name.removesuffix('.pdf')}-{invoice.stripe_id}.pdf"
        try:
            yield _download(ctx, invoice, folder / own)
        except (NoLink, DownloadFailed) as error:
            yield _row(invoice, None, None, "failed", error.code)


def _row(
    invoice: Invoice, path: Path | None, size: int | None, result: str, error: str | None = None
) -> Record:
    file = None if path is None else str(path)
    return dict(zip(COLUMNS, (invoice.number or invoice.stripe_id, file, size, result, error), strict=True))


def _download(ctx: Context, invoice: Invoice, path: Path) -> Record:
    if not ctx.options.dry_run:  # a dry run makes no folder
        check_target(path, (), overwrite=False, existing=False)
    if path.exists():
        return _row(invoice, path, path.stat().st_size, "there already")
    if ctx.options.dry_run:
        return _row(invoice, path, None, _DONE)
    fresh = _fresh(ctx, invoice)
    link = fresh.details.get("pdf")
    if not isinstance(link, str) or (ctx.profile.mode is Mode.SANDBOX and link.startswith(_NO_PAGES)):
        raise _no_link(fresh)
    return _row(invoice, path, _fetch(ctx, link, path), _DONE)


def _fetch(ctx: Context, link: str, path: Path) -> int:
    """Download the link to `path`; return the number of bytes.

    A temporary file is used first: the next run would take a partial file for a finished download.
    """
    import http.client
    import urllib.error
    import urllib.request

    _, trusted = trusted_certificates(ctx.profile, ctx.environment)
    try:
        # A request without the key: the link itself is the permission, and it may be on another host.
        request = urllib.request.Request(link, headers={"User-Agent": "seatctl"})  # noqa: S310 - checked below
        if not _is_trusted(link):
            raise DownloadFailed(f"{path.name}: the link from Stripe is not trusted: it does not use https")
        opened = urllib.request.urlopen(request, timeout=_SECONDS, context=trusted)  # noqa: S310 - just checked
        with opened as answer, new_file(path) as part:
            written = _receive(answer, part, path.name)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DownloadFailed(
            f"{path.name} could not be downloaded: {error}", hint="run the same command again"
        ) from error
    return written


def _receive(answer: HTTPResponse, part: Path, name: str) -> int:
    """Write the answer to a file; return the bytes. Raises DownloadFailed if it is not a whole PDF."""
    written = 0
    with part.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            if not written and not chunk.startswith(_PDF):
                raise DownloadFailed(f"{name}: the download is not a PDF", hint="run the same command again")
            written += file.write(chunk)
    if not written:
        raise DownloadFailed(f"{name}: the download is empty", hint="run the same command again")
    length = answer.headers.get("Content-Length")
    if length is not None and length != str(written):
        raise DownloadFailed(f"{name}: the download was cut short", hint="run the same command again")
    return written


def _is_trusted(link: str) -> bool:
    """Whether the link uses TLS, or is on this machine, as test servers are."""
    from urllib.parse import urlsplit

    parts = urlsplit(link)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    )


def _find(ctx: Context, handle: str) -> Invoice:
    from seatctl.ledger import invoices

    with ctx.ledger.reading() as reader:
        return invoices.find(reader, handle)


def _fresh(ctx: Context, invoice: Invoice) -> Invoice:
    from seatctl.services.invoices.views import with_fresh_links

    return with_fresh_links(ctx.ledger, ctx.billing, invoice)


def _no_link(invoice: Invoice) -> NoLink:
    name = invoice.number or invoice.stripe_id
    return NoLink(
        f"{name} has no page or PDF: drafts and sandbox invoices have none",
        hint=f"seatctl invoices show {name}",
        data={"invoice": invoice.stripe_id, "status": invoice.status.value},
    )


def _file_name(invoice: Invoice) -> str:
    """Return a file name that stays in the folder, whatever Stripe's number contains."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", invoice.number or invoice.stripe_id).strip("-") + ".pdf"


def _emit(ctx: Context, rows: list[Record]) -> None:
    from seatctl.models.report import change_report, counted

    results = [row["result"] for row in rows]
    failed = results.count("failed")
    code = ExitCode.PARTIAL if failed else ExitCode.DONE
    downloaded, there = counted(results.count(_DONE), "invoice"), results.count("there already")
    summary = f"downloaded {downloaded}, {there} there already, {failed} failed"
    dry_run = ctx.options.dry_run
    report = change_report(summary, tuple(rows), COLUMNS, dry_run=dry_run, exit_code=code)
    ctx.emit(report, handle="file")
