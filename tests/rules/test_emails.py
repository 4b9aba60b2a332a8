"""Which two addresses are one person, and which text is an address."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatctl.rules.emails import check_email, email_key
from seatctl.rules.people import parse_moment


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.COM", "ann@example.com"),
        (" ann@example.com ", "ann@example.com"),
        ("Öl@example.com", "o\u0308l@example.com"),
        ("a@München.de", "a@xn--mnchen-3ya.de"),
        ("a@MÜNCHEN.de", "A@mu\u0308nchen.DE"),
        ("a@例え。jp", "a@例え.jp"),
        ("a@Straße.de", "a@xn--strae-oqa.DE"),
        ("JÖRG@x.org", "jörg@x.org"),
    ],
)
def test_these_are_the_same_person(one, other):
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@straße.de", "a@strasse.de"),
        ("a@βόλος.com", "a@βόλοσ.com"),
        ("a@ｅxample.com", "a@example.com"),
        ("a@ﬁrma.com", "a@firma.com"),
        ("groß@x.org", "gross@x.org"),
    ],
)
def test_these_are_two_people_because_they_are_two_mailboxes(one, other):
    assert email_key(one) != email_key(other)


def test_dots_and_tags_in_the_local_part_stay():
    assert len({email_key(text) for text in ("ann.b@x.org", "annb@x.org", "annb+tag@x.org")}) == 3


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "o'brien+x@sub.example.co.uk",
        "-f@x.org",
        "=1+1@x.org",
        "jörg@münchen.de",
        "用户@例え.jp",
        "x@1.2",
        "a@straße.de",
        "a@نامه\u200cای.com",
        "a@ab--cd.example",
    ],
)
def test_addresses(address):
    assert check_email(address) is None


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@x.org", "ann@", "a@b@x.org", "ann b@x.org", "ann@x.org\nBcc: b@x.org", "ann\u202e@x.org",
     "ann\0@x.org", "Ann <ann@x.org>", "ann@localhost", "ann@x..org", "ann@.org", "ann@x.org.", "ann@-x.org",
     "ann.@x.org", ".ann@x.org", "a..b@x.org", "jörg.@x.org", "ann@x.org。", "ann@。x.org", "ann@ü..org",
     "a@☃.net", "a@xn--n3h.net", "a@xn--a.net", "a@ｅxample.com", "a@-ü.de", "a@ab--ü.de", "a@1אx.com",
     "a@\u0308x.org", "a@" + 60 * "ü" + ".de", "a@" + 30 * "üüü." + "de", "a\u200cb@x.org",
     "ann@x_y.org", f"{'a' * 65}@x.org", f"a@{'x' * 64}.org", f"a@{'x.' * 130}org", "a@x.org,b@x.org"],
)  # fmt: skip
def test_no_addresses(text):
    assert check_email(text)


_TEXT = st.one_of(
    st.text(max_size=30),
    st.builds("{}@{}.{}".format, st.text(max_size=10), st.text(max_size=10), st.text(max_size=4)),
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ann.@x.org", "the part before the @ ends with a dot"),
        ("a..b@x.org", "the part before the @ has two dots in a row"),
        ("ann@.org", "its domain begins with a dot"),
        ("a@☃.net", "☃.net is not a domain, because IDNA 2008 does not allow '☃'"),
    ],
)
def test_it_says_what_is_wrong(text, why):
    assert check_email(text) == why


@given(_TEXT)
def test_the_key_of_a_key_is_itself(text):
    assert email_key(email_key(text)) == email_key(text)


@given(
    st.builds(
        "{}@{}.org".format,
        st.from_regex(r"\w{1,9}", fullmatch=True),
        st.from_regex(r"[a-z0-9äöüéß例え]{1,9}", fullmatch=True),
    )
)
def test_case_and_unicode_form_do_not_count(text):
    key = email_key(text)
    assert key == email_key(unicodedata.normalize("NFD", text)) == email_key(text.lower())


@given(_TEXT)
def test_a_check_never_fails(text):
    assert check_email(text) is None or isinstance(check_email(text), str)


def test_moments_are_utc_seconds_and_a_day_can_mean_its_end():
    assert parse_moment("2027-01-31") == "2027-01-31T00:00:00Z"
    assert parse_moment("2027-01-31", end_of_day=True) == "2027-01-31T23:59:59Z"
    assert parse_moment("2027-01-31 10:00:00.9+02:00") == "2027-01-31T08:00:00Z"
    for text in ("soon", "31.01.2027", "0001-01-01T00:00:00+10:00", ""):
        with pytest.raises(ValueError):
            parse_moment(text)
