"""Where a command runs, for the audit: the machine and, in a CI job, the repository and the page of the run.

All of it is what the environment says. It helps people to find the job; it proves nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

_LONGEST = 300


def origin(environment: Mapping[str, str]) -> str:
    """Return compact JSON with `host` and, in a CI job, `ci`, `repository` and `run_url`."""
    fields = {"host": os.uname().nodename, **_job(environment)}
    shown = {key: _plain(value) for key, value in sorted(fields.items()) if value}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _job(environment: Mapping[str, str]) -> dict[str, str]:
    get = environment.get
    if get("GITHUB_ACTIONS"):
        repository = get("GITHUB_REPOSITORY", "")
        run, attempt = get("GITHUB_RUN_ID", ""), get("GITHUB_RUN_ATTEMPT", "1")
        url = f"{get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/actions/runs/{run}"
        url += "" if attempt == "1" else f"/attempts/{attempt}"
        return {"ci": "github", "repository": repository, "run_url": url if run else ""}
    if get("GITLAB_CI"):
        url = get("CI_JOB_URL") or get("CI_PIPELINE_URL") or ""
        return {"ci": "gitlab", "repository": get("CI_PROJECT_PATH", ""), "run_url": url}
    if get("CI") or get("BUILD_URL"):
        return {
            "ci": "other",
            "repository": _first(environment, _REPOSITORIES),
            "run_url": _first(environment, _RUNS),
        }
    return {}


_REPOSITORIES = (
    "CI_REPOSITORY",
    "BUILDKITE_REPO",
    "CIRCLE_REPOSITORY_URL",
    "BITBUCKET_REPO_FULL_NAME",
    "GIT_URL",
)
_RUNS = ("CI_RUN_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "CI_PIPELINE_URL", "BUILD_URL")
"""The variables of Buildkite, CircleCI, Bitbucket, Woodpecker and Jenkins; the first ones are for others."""


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _plain(text: str) -> str:
    """Return printable text of bounded length, without the user and password of a URL."""
    scheme, separator, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    text = f"{scheme}://{place.rpartition('@')[2]}{slash}{path}" if separator else text
    return "".join(char for char in text if char.isprintable())[:_LONGEST]
