"""The endpoints: method, path, the function that serves them, and the SDK type of their parameters.

The functions are named, not imported, so that a request loads only the module that serves it.
`{…}` in a path is an id and is passed to the function by position, in order.
"""

from __future__ import annotations

# The table is one endpoint a line.
# ruff: noqa: E501
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; `params` names the SDK's parameter type (`checkout.X` for one of a sub-package)."""

    method: str
    path: str
    serves: str
    params: str


_TABLE = """
GET    /v1/account                              account.retrieve                AccountRetrieveCurrentParams
POST   /v1/customers                            customers.create                CustomerCreateParams
GET    /v1/customers                            customers.listed                CustomerListParams
GET    /v1/customers/{}                         customers.retrieve              CustomerRetrieveParams
POST   /v1/customers/{}                         customers.update                CustomerUpdateParams
DELETE /v1/customers/{}                         customers.delete                CustomerDeleteParams
GET    /v1/customers/{}/payment_methods         payment_methods.of_customer     CustomerPaymentMethodListParams
GET    /v1/customers/{}/payment_methods/{}      payment_methods.one_of_customer CustomerPaymentMethodRetrieveParams
POST   /v1/customers/{}/balance_transactions    balances.create                 CustomerBalanceTransactionCreateParams
GET    /v1/customers/{}/balance_transactions    balances.listed                 CustomerBalanceTransactionListParams
GET    /v1/customers/{}/balance_transactions/{} balances.retrieve               CustomerBalanceTransactionRetrieveParams
POST   /v1/customers/{}/balance_transactions/{} balances.update                 CustomerBalanceTransactionUpdateParams
POST   /v1/customers/{}/tax_ids                 tax_ids.create                  CustomerTaxIdCreateParams
GET    /v1/customers/{}/tax_ids                 tax_ids.listed                  CustomerTaxIdListParams
DELETE /v1/customers/{}/tax_ids/{}              tax_ids.delete                  CustomerTaxIdDeleteParams
POST   /v1/payment_methods                      payment_methods.create          PaymentMethodCreateParams
GET    /v1/payment_methods                      payment_methods.listed          PaymentMethodListParams
GET    /v1/payment_methods/{}                   payment_methods.retrieve        PaymentMethodRetrieveParams
POST   /v1/payment_methods/{}                   payment_methods.update          PaymentMethodUpdateParams
POST   /v1/payment_methods/{}/attach            payment_methods.attach          PaymentMethodAttachParams
POST   /v1/payment_methods/{}/detach            payment_methods.detach          PaymentMethodDetachParams
POST   /v1/products                             products.create                 ProductCreateParams
GET    /v1/products                             products.listed                 ProductListParams
GET    /v1/products/{}                          products.retrieve               ProductRetrieveParams
POST   /v1/products/{}                          products.update                 ProductUpdateParams
DELETE /v1/products/{}                          products.delete                 ProductDeleteParams
POST   /v1/prices                               prices.create                   PriceCreateParams
GET    /v1/prices                               prices.listed                   PriceListParams
GET    /v1/prices/{}                            prices.retrieve                 PriceRetrieveParams
POST   /v1/prices/{}                            prices.update                   PriceUpdateParams
POST   /v1/coupons                              coupons.create                  CouponCreateParams
GET    /v1/coupons                              coupons.listed                  CouponListParams
GET    /v1/coupons/{}                           coupons.retrieve                CouponRetrieveParams
POST   /v1/coupons/{}                           coupons.update                  CouponUpdateParams
DELETE /v1/coupons/{}                           coupons.delete                  CouponDeleteParams
POST   /v1/promotion_codes                      promotion_codes.create          PromotionCodeCreateParams
GET    /v1/promotion_codes                      promotion_codes.listed          PromotionCodeListParams
GET    /v1/promotion_codes/{}                   promotion_codes.retrieve        PromotionCodeRetrieveParams
POST   /v1/promotion_codes/{}                   promotion_codes.update          PromotionCodeUpdateParams
GET    /v1/tax_rates/{}                         coupons.no_tax_rate             TaxRateRetrieveParams
POST   /v1/subscriptions                        subscriptions.create            SubscriptionCreateParams
GET    /v1/subscriptions                        subscription_lists.listed       SubscriptionListParams
GET    /v1/subscriptions/{}                     subscriptions.retrieve          SubscriptionRetrieveParams
POST   /v1/subscriptions/{}                     subscription_update.update      SubscriptionUpdateParams
DELETE /v1/subscriptions/{}                     subscription_ends.cancel        SubscriptionCancelParams
POST   /v1/subscriptions/{}/resume              subscription_ends.resume        SubscriptionResumeParams
POST   /v1/subscription_items                   subscription_items.create       SubscriptionItemCreateParams
GET    /v1/subscription_items                   subscription_items.listed       SubscriptionItemListParams
GET    /v1/subscription_items/{}                subscription_items.retrieve     SubscriptionItemRetrieveParams
POST   /v1/subscription_items/{}                subscription_items.update       SubscriptionItemUpdateParams
DELETE /v1/subscription_items/{}                subscription_items.delete       SubscriptionItemDeleteParams
POST   /v1/invoices                             invoices.create                 InvoiceCreateParams
GET    /v1/invoices                             invoices.listed                 InvoiceListParams
POST   /v1/invoices/create_preview              previews.create_preview         InvoiceCreatePreviewParams
GET    /v1/invoices/{}                          invoices.retrieve               InvoiceRetrieveParams
POST   /v1/invoices/{}                          invoices.update                 InvoiceUpdateParams
DELETE /v1/invoices/{}                          invoices.delete                 InvoiceDeleteParams
POST   /v1/invoices/{}/finalize                 invoice_life.finalize           InvoiceFinalizeInvoiceParams
POST   /v1/invoices/{}/pay                      invoice_life.pay                InvoicePayParams
POST   /v1/invoices/{}/send                     invoice_life.send               InvoiceSendInvoiceParams
POST   /v1/invoices/{}/void                     invoice_life.void               InvoiceVoidInvoiceParams
POST   /v1/invoices/{}/mark_uncollectible       invoice_life.mark_uncollectible InvoiceMarkUncollectibleParams
GET    /v1/invoices/{}/lines                    invoice_lines.listed            InvoiceLineItemListParams
POST   /v1/invoices/{}/lines/{}                 invoice_lines.update            InvoiceLineItemUpdateParams
POST   /v1/invoices/{}/add_lines                invoice_lines.add               InvoiceAddLinesParams
POST   /v1/invoices/{}/update_lines             invoice_lines.update_many       InvoiceUpdateLinesParams
POST   /v1/invoices/{}/remove_lines             invoice_lines.remove            InvoiceRemoveLinesParams
POST   /v1/invoiceitems                         invoice_items.create            InvoiceItemCreateParams
GET    /v1/invoiceitems                         invoice_items.listed            InvoiceItemListParams
GET    /v1/invoiceitems/{}                      invoice_items.retrieve          InvoiceItemRetrieveParams
POST   /v1/invoiceitems/{}                      invoice_items.update            InvoiceItemUpdateParams
DELETE /v1/invoiceitems/{}                      invoice_items.delete            InvoiceItemDeleteParams
GET    /v1/invoice_payments                     invoice_payments.listed         InvoicePaymentListParams
GET    /v1/invoice_payments/{}                  invoice_payments.retrieve       InvoicePaymentRetrieveParams
POST   /v1/payment_intents                      payment_intents.create          PaymentIntentCreateParams
GET    /v1/payment_intents                      payment_intents.listed          PaymentIntentListParams
GET    /v1/payment_intents/{}                   payment_intents.retrieve        PaymentIntentRetrieveParams
POST   /v1/payment_intents/{}                   payment_intents.update          PaymentIntentUpdateParams
POST   /v1/payment_intents/{}/confirm           payment_intents.confirm         PaymentIntentConfirmParams
POST   /v1/payment_intents/{}/cancel            payment_intents.cancel          PaymentIntentCancelParams
GET    /v1/charges                              charges.listed                  ChargeListParams
GET    /v1/charges/{}                           charges.retrieve                ChargeRetrieveParams
GET    /v1/disputes                             disputes.listed                 DisputeListParams
GET    /v1/disputes/{}                          disputes.retrieve               DisputeRetrieveParams
POST   /v1/disputes/{}/close                    disputes.close                  DisputeCloseParams
POST   /v1/refunds                              refunds.create                  RefundCreateParams
GET    /v1/refunds                              refunds.listed                  RefundListParams
GET    /v1/refunds/{}                           refunds.retrieve                RefundRetrieveParams
POST   /v1/credit_notes                         credit_notes.create             CreditNoteCreateParams
GET    /v1/credit_notes                         credit_notes.listed             CreditNoteListParams
GET    /v1/credit_notes/preview                 credit_notes.preview            CreditNotePreviewParams
GET    /v1/credit_notes/{}                      credit_notes.retrieve           CreditNoteRetrieveParams
POST   /v1/checkout/sessions                    checkout.create                 checkout.SessionCreateParams
GET    /v1/checkout/sessions                    checkout.listed                 checkout.SessionListParams
GET    /v1/checkout/sessions/{}                 checkout.retrieve               checkout.SessionRetrieveParams
POST   /v1/checkout/sessions/{}/expire          checkout.expire                 checkout.SessionExpireParams
POST   /v1/billing_portal/sessions              portal.create_session           billing_portal.SessionCreateParams
POST   /v1/billing_portal/configurations        portal.create                   billing_portal.ConfigurationCreateParams
GET    /v1/billing_portal/configurations        portal.listed                   billing_portal.ConfigurationListParams
GET    /v1/billing_portal/configurations/{}     portal.retrieve                 billing_portal.ConfigurationRetrieveParams
POST   /v1/billing_portal/configurations/{}     portal.update                   billing_portal.ConfigurationUpdateParams
GET    /v1/setup_intents/{}                     setup_intents.retrieve          SetupIntentRetrieveParams
GET    /v1/events                               events.listed                   EventListParams
GET    /v1/events/{}                            events.retrieve                 EventRetrieveParams
"""

ROUTES = tuple(Route(*line.split()) for line in _TABLE.strip().splitlines())
_SPLIT = tuple((route, tuple(route.path.split("/"))) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint that serves this request, and the ids in its path."""
    parts = tuple(path.split("/"))
    for route, pattern in _SPLIT:
        if route.method == method and len(pattern) == len(parts):
            pairs = list(zip(pattern, parts, strict=True))
            if all(want in ("{}", have) and have for want, have in pairs[1:]):
                return route, tuple(have for want, have in pairs if want == "{}")
    return None
