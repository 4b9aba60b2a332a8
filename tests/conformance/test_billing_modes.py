"""One story in both billing modes: a decrease that waits, an increase, another plan, a refund.

A month has 30 days, of which 10 are left. Ten seats of 12.00; `plus` costs 20.00.
"""

from __future__ import annotations

import pytest

from tests.conformance.story import Story

DAY = 86_400
HOUR = 3600
MODES = ("classic", "flexible", "migrated")


def bought_elsewhere(story: Story, mode: str) -> None:
    """`design`: ten seats that another program has bought in this billing mode, and adopted."""
    story.plan("pro", "12.00")
    story.plan("plus", "20.00")
    account = story.account
    (price,) = [
        one["id"]
        for one in account.every("prices", active="true")
        if one["unit_amount"] == 1200 and story.plans["pro"] in str(one["lookup_key"])
    ]
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    payer = account.post("customers", name="design", email="pay@example.com", test_clock=story.clock, **card)
    items = [{"price": price, "quantity": 10}]
    made = account.post("subscriptions", customer=payer["id"], items=items, billing_mode={"type": mode})
    assert made["billing_mode"]["type"] == mode
    assert [row["result"] for row in story.synced()] == ["added"]
    story.done("ledger adopt")


@pytest.mark.parametrize("mode", MODES)
def test_seats_another_plan_and_a_refund_in_each_billing_mode(story, mode):
    bought_elsewhere(story, "flexible" if mode == "flexible" else "classic")
    name = story.rows("subs", "list")[0]["name"]
    paid = [12000]

    def charged(command: str, cents: int) -> None:
        assert story.done(f"{command} --dry-run")["due_now"] == cents
        story.done(command)
        paid.append(cents)
        assert story.charges() == paid

    story.until(story.start + 20 * DAY)
    charged(f"subs add-seats {name} 2", 800)  # -120.00/3 + 144.00/3
    story.done(f"subs set-seats {name} 6")  # from the next month on
    if mode == "classic":
        # Stripe would credit the 6 seats of the next month instead of the 12 that were paid for.
        assert story.refused(f"subs add-seats {name} 1", 4)["code"] == "classic_billing"
        story.done(f"subs set-seats {name} 12")
    elif mode == "migrated":
        assert story.done(f"ledger adopt {name} --migrate")["billing_mode"] == "flexible"
        assert [one["billing_mode"]["type"] for one in story.stripe_subscriptions()] == ["flexible"]
    charged(f"subs add-seats {name} 1", 400)  # -144.00/3 + 156.00/3
    charged(f"subs change-plan {name} {{plus}}", 3467)  # -156.00/3 + 260.00/3, which is 86.67
    if mode == "classic":
        story.done(f"subs set-seats {name} 7")
    story.until(story.at_month(1, 2 * HOUR))
    paid.append(14000)  # 7 x 20.00
    assert (story.charges(), story.sub(name)["seats"]) == (paid, 7)
    # The next month has 31 days: half of 140.00 comes back.
    story.until(story.at_month(1) + (story.at_month(2) - story.at_month(1)) // 2)
    story.done(f"subs cancel {name} --now --refund")
    assert story.refunds() == [7000]
