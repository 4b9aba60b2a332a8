"""Which tests run once more with their ledgers on a server, and which do not, with the reason.

`--ledger postgres` and `--ledger pgbouncer` run the tests in `SUITES`, but for those that are named here.
`tests/house/test_suites.py` proves that each name is that of a test, and that nothing else is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

SUITES = tuple(
    f"tests/{folder}/"
    for folder in ("app", "billing", "cli", "config", "ledger", "mail", "services", "stories", "system")
)
"""The tests of the ledger and of commands. The others have no ledger, or are about the repository."""

THROUGH_PGBOUNCER = (
    "tests/ledger/test_transaction.py",
    "tests/services/operations/test_cut_off.py",
    "tests/services/purchases/test_crash.py",
    "tests/services/requests/",
    "tests/services/runs/test_batch_killed.py",
    "tests/services/seats/",
    "tests/stories/",
)
"""Concurrent changes, kills, purchases: what `--ledger pgbouncer` runs; with `--whole-proofs` it runs all."""

ON_BOTH_ALREADY = (
    "tests/app/test_database_roles.py",
    "tests/app/test_failover.py",
    "tests/app/test_server_away.py",
    "tests/app/test_server_faults.py",
    "tests/app/test_server_ledger.py",
    "tests/app/test_server_mail.py",
    "tests/app/test_shared_load.py",
    "tests/app/test_tls.py",
    "tests/ledger/engines/",
    "tests/ledger/schema/test_postgres_functions.py",
    "tests/ledger/transfer/",
    "tests/services/operations/test_lost_lease.py",
    "tests/services/seats/test_shared_ledger.py",
)
"""Tests that bring a server, or both engines, whatever the option says."""

_DRY_RUN = "tests/cli/test_dry_runs.py::test_a_dry_run_claims_nothing"

SQLITE_ONLY: dict[str, tuple[str, ...]] = {
    "about a file: its bytes, its mode, what lies beside it, the disk below it": (
        "tests/cli/test_doctor.py::test_a_group_that_may_read_is_named_and_no_problem",
        "tests/cli/test_doctor.py::test_a_ledger_that_is_gone_or_damaged",
        "tests/cli/test_doctor.py::test_files_that_others_can_read",
        "tests/cli/test_surroundings.py::test_a_backup_whose_name_the_file_system_does_not_take_is_no_bug",
        "tests/config/test_policy_settings.py::test_a_setting_is_not_answered_without_the_ledger_that_stores_it",
        "tests/config/test_policy_settings.py::test_a_value_in_config_toml_counts_until_the_ledger_has_one",
        "tests/config/test_policy_settings.py::test_before_there_is_a_ledger_it_is_written_to_config_toml",
        "tests/config/test_policy_settings.py::test_settings_are_shown_even_if_the_ledger_cannot_be_read",
        "tests/ledger/test_ledger.py::test_a_damaged_ledger_is_named_without_a_traceback",
        "tests/ledger/test_ledger.py::test_a_ledger_on_a_read_only_file_system_can_be_read",
        "tests/ledger/test_ledger.py::test_a_ledger_that_cannot_be_written_is_refused",
        "tests/ledger/test_ledger.py::test_looking_for_a_ledger_does_not_create_it",
        "tests/ledger/test_ledger.py::test_only_the_owner_can_read_the_ledger_and_the_files_beside_it",
        "tests/ledger/test_ledger.py::test_the_database_of_another_program_is_not_a_ledger",
        "tests/ledger/test_read_only.py",
        "tests/ledger/test_transaction.py::test_a_full_disk_is_reported_and_changes_nothing",
        "tests/system/test_files.py",
    ),
    "backups of a file: a server has its own, see tests/ledger/transfer/test_dump.py": (
        f"{_DRY_RUN}[ledger backup --would have backed up to stdout]",
        f"{_DRY_RUN}[ledger backup backup.db-would have backed up to ]",
        "tests/ledger/test_check.py::test_the_refusal_of_a_backup_says_how_to_copy_the_ledger_as_it_is",
        "tests/ledger/test_copies.py::test_a_backup_opens_on_a_read_only_disk",
        "tests/ledger/test_copies.py::test_a_backup_replaces_a_file_only_with_overwrite",
        "tests/ledger/test_copies.py::test_a_batch_does_not_continue_in_a_restored_ledger",
        "tests/ledger/test_copies.py::test_a_damaged_ledger_is_not_backed_up",
        "tests/ledger/test_copies.py::test_a_damaged_ledger_is_replaced_and_kept",
        "tests/ledger/test_copies.py::test_a_restore_keeps_the_replaced_ledger_and_sends_nothing_twice",
        "tests/ledger/test_copies.py::test_a_restore_needs_the_right_to_manage_the_ledger",
        "tests/ledger/test_copies.py::test_a_restored_ledger_can_change_seats_after_adopting_them",
        "tests/ledger/test_copies.py::test_changes_during_a_restore_are_in_one_of_the_two_files",
        "tests/ledger/test_copies.py::test_leftovers_of_a_killed_restore_are_deleted",
        "tests/ledger/test_copies.py::test_only_a_backup_can_be_restored",
        "tests/ledger/test_copies.py::test_the_restore_drill",
        "tests/ledger/test_copies.py::test_unfinished_operations_in_a_backup_are_shown_as_failed",
        "tests/services/seats/test_apply.py::test_check_needs_neither_a_role_nor_a_file_it_may_write",
    ),
    "migration of a file: for a server see tests/ledger/transfer/test_versions.py": (
        "tests/ledger/schema/test_email_keys.py::test_a_migrated_ledger_finds_everybody_by_the_typed_address",
        "tests/ledger/schema/test_email_keys.py::test_an_actor_who_is_not_a_user_keeps_the_role",
        "tests/ledger/schema/test_email_keys.py::test_an_erased_user_leaves_no_former_key",
        "tests/ledger/schema/test_email_keys.py::test_changes_after_the_migration_are_checked_by_the_new_rule",
        "tests/ledger/schema/test_email_keys.py::test_two_users_with_one_address_now_are_named_and_distinguished",
        "tests/ledger/schema/test_email_keys.py::test_undoing_a_revocation_of_the_earlier_version_returns_the_role",
        "tests/ledger/schema/test_shared_ledger.py",
        "tests/ledger/test_ledger.py::test_a_ledger_of_a_later_seatctl_is_not_touched",
        "tests/ledger/test_ledger.py::test_a_ledger_of_the_first_version_is_migrated_when_it_is_opened",
        "tests/ledger/test_ledger.py::test_a_migration_killed_at_any_statement_leaves_nothing_half_made",
        "tests/ledger/test_query_steps.py::test_a_ledger_without_the_indexes_gets_them_when_it_is_opened",
    ),
    "what empties a file, or sets it up: on a server see tests/app/test_server_ledger.py": (
        "tests/cli/test_sandbox.py::test_a_dry_run_of_a_reset_empties_nothing",
        "tests/cli/test_doctor.py::test_nothing_set_up_yet",
        f"{_DRY_RUN}[sandbox reset-would have emptied the sandbox]",
        "tests/cli/test_sandbox.py::test_a_damaged_sandbox_says_so_and_a_reset_repairs_it",
        "tests/cli/test_sandbox.py::test_a_reset_asks_and_begins_anew",
        "tests/config/test_policy_settings.py::test_a_reset_of_the_sandbox_keeps_them",
        "tests/config/test_settings.py::test_before_init_the_way_is_shown",
    ),
    "the lock of a file: for leases and row locks see tests/ledger/engines": (
        "tests/cli/test_surroundings.py::test_a_lock_without_a_file_descriptor_is_not_called_read_only",
        "tests/ledger/test_ledger.py::test_a_writer_that_waited_too_long_may_try_again",
        "tests/ledger/test_ledger.py::test_the_money_lock_is_released_when_its_process_dies",
    ),
    "the program's own check of what PostgreSQL refuses to store, or keeps in another way": (
        "tests/cli/test_doctor.py::test_a_reference_that_leads_nowhere_is_found",
        "tests/ledger/schema/test_tables.py::test_a_seat_neither_replaces_another_nor_is_ignored",
        "tests/ledger/schema/test_tables.py::test_no_row_of_the_audit_is_replaced",
        "tests/ledger/schema/test_tables.py::test_replacing_a_revoked_seat_does_not_reopen_it",
        "tests/ledger/test_check.py::test_a_damaged_file_is_found_and_no_command_takes_it_for_a_bug",
    ),
    "counts the steps of SQLite's machine: for a server see `python -m bench`": (
        "tests/ledger/test_query_steps.py::test_a_filter_without_results_reads_no_rows",
        "tests/ledger/test_query_steps.py::test_invoices_outside_of_a_filter_cost_nothing",
        "tests/ledger/test_query_steps.py::test_paid_invoices_do_not_slow_down_the_list_of_subscriptions",
        "tests/ledger/test_query_steps.py::test_undoing_one_change_costs_the_same_in_a_large_ledger",
    ),
}
"""Files, and tests without their parameters, by reason."""


def runs_on_server(node: str, folders: tuple[str, ...] = SUITES) -> bool:
    """Whether a test, by its id, is one of these folders and runs once more with its ledgers on a server."""
    left_out = (*ON_BOTH_ALREADY, *sqlite_only())
    return node.startswith(folders) and not any(is_part(node, name) for name in left_out)


def sqlite_only() -> Iterator[str]:
    """The names of `SQLITE_ONLY`."""
    for names in SQLITE_ONLY.values():
        yield from names


def is_part(node: str, name: str) -> bool:
    """Whether a test, by its id, is that of a name, or one of those in a file or folder of this name."""
    begins = node.startswith(name)
    return begins and (name.endswith("/") or node[len(name) :].startswith(("::", "[")) or node == name)
