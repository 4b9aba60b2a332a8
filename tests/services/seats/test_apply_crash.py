"""`seats apply --buy-shortfall` killed anywhere and run again: bought once, for the people of the file."""

from tests.support.killing import Killing

PEOPLE = [f"p{n}@example.com" for n in range(8)]


def test_wherever_it_is_killed_the_same_command_buys_once_and_seats_the_file(sandbox, team, tmp_path, whole):
    """Before and after calls to Stripe and commits, by default every fifth. One user is on the waitlist."""
    assert sandbox("users", "add", *PEOPLE).code == 0
    assert sandbox("seats", "assign", team, *PEOPLE[:5]).code == 0
    assert sandbox("config", "auto-approve", team, "on").code == 0
    assert sandbox("requests", "create", PEOPLE[5], "-s", team).code == 10
    file = tmp_path / "seats.csv"
    file.write_text("email\n" + "\n".join(PEOPLE[:5] + PEOPLE[6:]) + "\n")
    argv = ("seats", "apply", str(file), "-s", team, "--buy-shortfall", "--max-spend", "50.00", "--yes")
    killing = Killing(tmp_path / "copies", whole)
    _, ended = killing.undisturbed(sandbox, argv)
    assert ended.code == 0, ended.err
    for way in killing.each(sandbox, argv, ended, first=2, step=5):
        twin = way.seatctl
        again = twin(*argv)
        assert again.code == 0, (way.where, again.err)
        assert twin.rows("subs", "list")[0]["seats"] == 7, way.where
        seated = {row["email"] for row in twin.rows("seats", "list")}
        assert seated == {*PEOPLE[:5], *PEOPLE[6:]}, way.where
        assert twin.rows("requests", "list")[0]["status"] == "waitlisted", way.where
        assert twin.rows("runs", "list", "--state", "pending") == [], way.where
