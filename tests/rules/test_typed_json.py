"""Dataclasses as JSON: what was dumped is loaded again, and what an older version has dumped too."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from seatctl.errors import JsonValue
from seatctl.models.plan import Increase, Policy
from seatctl.rules.policies import FLEXIBLE, TERM, as_fields
from seatctl.rules.typed_json import dump, load, stored_as


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    text: str
    number: int | None = None
    flag: bool = field(default=False, metadata=stored_as("is_set"))
    names: tuple[str, ...] = ()
    pair: tuple[str | None, str | None] = (None, None)
    parts: tuple[Part, ...] = ()
    policy: Policy | None = None
    form: dict[str, JsonValue] | None = None
    anything: JsonValue = None


WHOLE = Whole(
    text="a",
    number=1,
    flag=True,
    names=("b", "c"),
    pair=("d", None),
    parts=(Part("e", 2), Part("f")),
    policy=TERM,
    form={"g": [1, {"h": None}]},
    anything=[{"i": 0.5}],
)


def test_what_was_dumped_is_loaded_again():
    assert load(Whole, dump(WHOLE)) == WHOLE
    assert load(Whole, dump(Whole(text=""))) == Whole(text="")


def test_a_field_is_stored_under_its_key_with_json_values_only():
    dumped = dump(WHOLE)
    assert (dumped["is_set"], "flag" in dumped) == (True, False)
    assert dumped["parts"] == [{"name": "e", "amount": 2}, {"name": "f", "amount": 0}]
    assert dumped["pair"] == ["d", None]


@pytest.mark.parametrize("policy", [FLEXIBLE, TERM])
def test_a_policy_is_stored_as_the_ledger_stores_it(policy):
    assert dump(policy) == as_fields(policy)
    assert load(Policy, as_fields(policy)).increase in Increase


def test_what_an_older_version_did_not_store_has_its_default_and_what_is_unknown_is_ignored():
    assert load(Whole, {"text": "a", "batch": [1, 2]}) == Whole(text="a")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"text": None},
        {"text": 1},
        {"text": "a", "number": True},
        {"text": "a", "number": "1"},
        {"text": "a", "is_set": 1},
        {"text": "a", "names": "b"},
        {"text": "a", "names": [1]},
        {"text": "a", "parts": [{"amount": 1}]},
        {"text": "a", "form": []},
        {"text": "a", "policy": "term"},
    ],
)
def test_a_value_of_another_type_is_not_loaded(stored):
    with pytest.raises(TypeError):
        load(Whole, stored)


@pytest.mark.parametrize("stored", [{"pair": ["a"]}, {"policy": {"increase": "never"}}])
def test_a_value_that_is_out_of_range_is_not_loaded(stored):
    with pytest.raises(ValueError, match=r"shorter|never"):
        load(Whole, {"text": "a", **stored})
