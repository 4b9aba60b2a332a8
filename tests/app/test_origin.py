"""Where a command runs, as the audit records it."""

from __future__ import annotations

import json
import os

import pytest

from seatctl.app.origin import origin

HOST = {"host": os.uname().nodename}


@pytest.mark.parametrize(
    ("environment", "fields"),
    [
        ({}, {}),
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_REPOSITORY": "acme/seats",
                "GITHUB_SERVER_URL": "https://github.example.com",
                "GITHUB_RUN_ID": "42",
                "GITHUB_RUN_ATTEMPT": "2",
            },
            {
                "ci": "github",
                "repository": "acme/seats",
                "run_url": "https://github.example.com/acme/seats/actions/runs/42/attempts/2",
            },
        ),
        (
            {
                "GITLAB_CI": "true",
                "CI": "true",
                "CI_PROJECT_PATH": "acme/seats",
                "CI_JOB_URL": "https://g/j/7",
            },
            {"ci": "gitlab", "repository": "acme/seats", "run_url": "https://g/j/7"},
        ),
        (
            {"BUILD_URL": "https://ci/job/7", "GIT_URL": "https://bot:hunter2@git/acme/seats.git"},
            {"ci": "other", "repository": "https://git/acme/seats.git", "run_url": "https://ci/job/7"},
        ),
        ({"CI": "true"}, {"ci": "other"}),
        ({"CI": "true", "BUILD_URL": "https://x/\n\x1b[31m" + "y" * 999}, None),
    ],
)
def test_the_machine_and_the_job_are_named(environment, fields):
    text = origin(environment)
    if fields is None:
        assert len(json.loads(text)["run_url"]) == 300
        assert text.isprintable()
    else:
        assert json.loads(text) == HOST | fields
        assert list(json.loads(text)) == sorted(HOST | fields)
        assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
