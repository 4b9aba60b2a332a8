"""The first reading of Stripe against the SDK's auto-paging, both behind the same latency in the same run.

`sandbox serve` holds the account in a process of its own; a proxy in another adds the latency to each
request. Both sides read products, prices, customers, subscriptions and invoices with the same expansions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import ROOT, Figure, WrongResult, run

LATENCY = 0.2
"""Seconds that the proxy adds to each request."""

_PROXY = """
import http.client, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
host, port, latency = '127.0.0.1', int(sys.argv[1]), float(sys.argv[2])
kept = threading.local()
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize, disable_nagle_algorithm = -1, True  # as the sandbox's own server
    def do_GET(self):
        time.sleep(latency)
        if not hasattr(kept, 'to'):
            kept.to = http.client.HTTPConnection(host, port)
        kept.to.request('GET', self.path, headers={n: v for n, v in self.headers.items() if n != 'Host'})
        answer = kept.to.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = ThreadingHTTPServer((host, 0), Handler)
server.daemon_threads = True
print(f'http://{host}:{server.server_address[1]}', flush=True)
server.serve_forever()
"""

_AUTO_PAGING = """
import stripe, sys
client = stripe.StripeClient('sk_test_bench', base_addresses={'api': sys.argv[1]}, max_network_retries=0)
count = 0
for listed in (
    client.v1.products.list({'limit': 100}),
    client.v1.prices.list({'limit': 100}),
    client.v1.customers.list({'limit': 100, 'expand': ['data.invoice_settings.default_payment_method']}),
    client.v1.subscriptions.list({'limit': 100, 'status': 'all'}),
    client.v1.invoices.list({'limit': 100, 'expand': ['data.payments']}),
):
    count += sum(1 for _ in listed.auto_paging_iter())
print(count)
"""


def backfill(work: Path, customers: int) -> list[Figure]:
    """`sync` of an empty ledger against auto-paging; then its memory against a quarter of the account."""
    seconds, resident, count = _sync(work / "whole", customers, paging := [])
    floor, listed = paging[0]
    if count < listed:
        raise WrongResult(f"sync read {count} objects, auto-paging {listed}")
    _, small, _ = _sync(work / "quarter", customers // 4, None)
    name = f"backfill of {2 * customers:,} invoices, {int(LATENCY * 1000)} ms away"
    return [
        Figure(name, seconds, floor, 1 / 6),
        Figure("memory of it, against a quarter", resident, small, 1.2, "MB"),
    ]


def _sync(work: Path, customers: int, paging: list[tuple[float, int]] | None) -> tuple[float, int, int]:
    """Seconds, resident bytes and objects read of one first `sync`; auto-paging is measured beside it."""
    work.mkdir(parents=True)
    _seed(work / "stripe.db", customers)
    with _served(work) as url:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SEATCTL_CONFIG": str(work / "config"),
            "SEATCTL_STRIPE_KEY": "sk_test_bench",
            "SEATCTL_STRIPE_API_BASE": url,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        seatctl = [sys.executable, "-m", "seatctl"]
        for words in (
            "init --mode test --no-input --actor a@example.com",
            "config set sync.requests_per_second 500",
        ):
            subprocess.run([*seatctl, *words.split()], env=environment, check=True, capture_output=True)
        sample = run(["-m", "seatctl", "sync", "-o", "json"], environment, keep=True, memory=True)
        if paging is not None:
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _AUTO_PAGING, url], check=True, capture_output=True, text=True
            )
            paging.append((time.perf_counter() - started, int(done.stdout)))
    import json

    return sample.seconds, sample.resident, int(json.loads(sample.output)["read"])


def _seed(path: Path, customers: int) -> None:
    from contextlib import closing

    from seatctl.sandbox.api.twin import Twin
    from tests.sandbox.seed import seed
    from tests.support.front import spread

    with closing(Twin(path)) as twin:
        seed(twin, customers=customers, months=1)
        spread(twin)


@contextmanager
def _served(work: Path) -> Iterator[str]:
    """The base URL of the proxy before the sandbox's server; both stop at the end."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom seatctl.sandbox.api.server import serve\n"
        "serve(Path(sys.argv[1]), 0, False, lambda url: print(url, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(work / "stripe.db")],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = server.stdout.readline().strip().rpartition(":")[2]
    proxy = subprocess.Popen(
        [sys.executable, "-c", _PROXY, port, str(LATENCY)], stdout=subprocess.PIPE, text=True
    )
    assert proxy.stdout is not None
    try:
        yield proxy.stdout.readline().strip()
    finally:
        for process in (proxy, server):
            process.terminate()
            process.wait()
