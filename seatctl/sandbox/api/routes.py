"""The endpoints: method, path, the function that serves them, and the SDK type of their parameters.

The functions are named, not imported, so that a request loads only the module that serves it. `MODULE.NAME` is
a function of `sandbox/resources/`; it gets the session, the parameters and the ids in the path, in order.
`NAME(KIND,…)` is a function of `sandbox/resources/shared.py`, for objects of this kind:
`retrieve(KIND,PARAM)`, `update(KIND,PARAM,FIELD,…)`, `delete(KIND,PARAM,EVENT)`, `list_page(KIND,FILTER,…)`.
"""

from __future__ import annotations

# The table has one endpoint a line.
# ruff: noqa: E501
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from seatctl.sandbox.objects import Obj

Handler = Callable[..., Obj]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; `params` names the SDK's parameter type (`checkout.X` for one of a sub-package)."""

    method: str
    path: str
    serves: str
    params: str

    def handler(self) -> Handler:
        """The function that serves the endpoint; its module is loaded now."""
        name, bracket, arguments = self.serves.partition("(")
        module, _, function = ("shared", "", name) if bracket else name.partition(".")
        handler: Handler = getattr(import_module(f"seatctl.sandbox.resources.{module}"), function)
        if not bracket:
            return handler
        words = arguments.removesuffix(")").split(",")
        return lambda session, params, *ids: handler(session, params, self.path, ids, *words)


_TABLE = """
GET    /v1/account                              account.retrieve                                                        AccountRetrieveCurrentParams
POST   /v1/customers                            customers.create                                                        CustomerCreateParams
GET    /v1/customers                            list_page(customer,email,test_clock)                                    CustomerListParams
GET    /v1/customers/{}                         customers.retrieve                                                      CustomerRetrieveParams
POST   /v1/customers/{}                         customers.update                                                        CustomerUpdateParams
DELETE /v1/customers/{}                         customers.delete                                                        CustomerDeleteParams
GET    /v1/customers/{}/payment_methods         list_page(payment_method,type,allow_redisplay)                          CustomerPaymentMethodListParams
GET    /v1/customers/{}/payment_methods/{}      payment_methods.retrieve_of_customer                                    CustomerPaymentMethodRetrieveParams
POST   /v1/customers/{}/balance_transactions    customer_balance_transactions.create                                    CustomerBalanceTransactionCreateParams
GET    /v1/customers/{}/balance_transactions    list_page(customer_balance_transaction,invoice)                         CustomerBalanceTransactionListParams
GET    /v1/customers/{}/balance_transactions/{} retrieve(customer_balance_transaction,transaction)                      CustomerBalanceTransactionRetrieveParams
POST   /v1/customers/{}/balance_transactions/{} customer_balance_transactions.update                                    CustomerBalanceTransactionUpdateParams
POST   /v1/customers/{}/tax_ids                 tax_ids.create                                                          CustomerTaxIdCreateParams
GET    /v1/customers/{}/tax_ids                 list_page(tax_id)                                                       CustomerTaxIdListParams
DELETE /v1/customers/{}/tax_ids/{}              delete(tax_id,id,customer.tax_id.deleted)                               CustomerTaxIdDeleteParams
POST   /v1/payment_methods                      payment_methods.create                                                  PaymentMethodCreateParams
GET    /v1/payment_methods                      payment_methods.list_page                                               PaymentMethodListParams
GET    /v1/payment_methods/{}                   payment_methods.retrieve                                                PaymentMethodRetrieveParams
POST   /v1/payment_methods/{}                   payment_methods.update                                                  PaymentMethodUpdateParams
POST   /v1/payment_methods/{}/attach            payment_methods.attach                                                  PaymentMethodAttachParams
POST   /v1/payment_methods/{}/detach            payment_methods.detach                                                  PaymentMethodDetachParams
POST   /v1/products                             products.create                                                         ProductCreateParams
GET    /v1/products                             products.list_page                                                      ProductListParams
GET    /v1/products/{}                          retrieve(product,id)                                                    ProductRetrieveParams
POST   /v1/products/{}                          products.update                                                         ProductUpdateParams
DELETE /v1/products/{}                          products.delete                                                         ProductDeleteParams
POST   /v1/prices                               prices.create                                                           PriceCreateParams
GET    /v1/prices                               prices.list_page                                                        PriceListParams
GET    /v1/prices/{}                            retrieve(price,price)                                                   PriceRetrieveParams
POST   /v1/prices/{}                            prices.update                                                           PriceUpdateParams
POST   /v1/coupons                              coupons.create                                                          CouponCreateParams
GET    /v1/coupons                              list_page(coupon)                                                       CouponListParams
GET    /v1/coupons/{}                           retrieve(coupon,coupon)                                                 CouponRetrieveParams
POST   /v1/coupons/{}                           update(coupon,coupon,name)                                              CouponUpdateParams
DELETE /v1/coupons/{}                           delete(coupon,coupon,coupon.deleted)                                    CouponDeleteParams
POST   /v1/promotion_codes                      promotion_codes.create                                                  PromotionCodeCreateParams
GET    /v1/promotion_codes                      promotion_codes.list_page                                               PromotionCodeListParams
GET    /v1/promotion_codes/{}                   retrieve(promotion_code,promotion_code)                                 PromotionCodeRetrieveParams
POST   /v1/promotion_codes/{}                   update(promotion_code,promotion_code,active)                            PromotionCodeUpdateParams
GET    /v1/tax_rates/{}                         retrieve(tax_rate,tax_rate)                                             TaxRateRetrieveParams
POST   /v1/subscriptions                        subscriptions.create                                                    SubscriptionCreateParams
GET    /v1/subscriptions                        subscriptions.list_page                                                 SubscriptionListParams
GET    /v1/subscriptions/{}                     retrieve(subscription,id)                                               SubscriptionRetrieveParams
POST   /v1/subscriptions/{}                     subscription_updates.update                                             SubscriptionUpdateParams
DELETE /v1/subscriptions/{}                     subscriptions.cancel                                                    SubscriptionCancelParams
POST   /v1/subscriptions/{}/resume              subscriptions.resume                                                    SubscriptionResumeParams
POST   /v1/subscription_items                   subscription_items.create                                               SubscriptionItemCreateParams
GET    /v1/subscription_items                   subscription_items.list_page                                            SubscriptionItemListParams
GET    /v1/subscription_items/{}                subscription_items.retrieve                                             SubscriptionItemRetrieveParams
POST   /v1/subscription_items/{}                subscription_items.update                                               SubscriptionItemUpdateParams
DELETE /v1/subscription_items/{}                subscription_items.delete                                               SubscriptionItemDeleteParams
POST   /v1/invoices                             invoices.create                                                         InvoiceCreateParams
GET    /v1/invoices                             invoices.list_page                                                      InvoiceListParams
POST   /v1/invoices/create_preview              invoice_previews.create_preview                                         InvoiceCreatePreviewParams
GET    /v1/invoices/{}                          retrieve(invoice,invoice)                                               InvoiceRetrieveParams
POST   /v1/invoices/{}                          invoices.update                                                         InvoiceUpdateParams
DELETE /v1/invoices/{}                          invoices.delete                                                         InvoiceDeleteParams
POST   /v1/invoices/{}/finalize                 invoices.finalize                                                       InvoiceFinalizeInvoiceParams
POST   /v1/invoices/{}/pay                      invoices.pay                                                            InvoicePayParams
POST   /v1/invoices/{}/send                     invoices.send                                                           InvoiceSendInvoiceParams
POST   /v1/invoices/{}/void                     invoices.void                                                           InvoiceVoidInvoiceParams
POST   /v1/invoices/{}/mark_uncollectible       invoices.mark_uncollectible                                             InvoiceMarkUncollectibleParams
GET    /v1/invoices/{}/lines                    invoice_lines.list_page                                                 InvoiceLineItemListParams
POST   /v1/invoices/{}/lines/{}                 invoice_lines.update                                                    InvoiceLineItemUpdateParams
POST   /v1/invoices/{}/add_lines                invoice_lines.add                                                       InvoiceAddLinesParams
POST   /v1/invoices/{}/update_lines             invoice_lines.update_many                                               InvoiceUpdateLinesParams
POST   /v1/invoices/{}/remove_lines             invoice_lines.remove                                                    InvoiceRemoveLinesParams
POST   /v1/invoiceitems                         invoice_items.create                                                    InvoiceItemCreateParams
GET    /v1/invoiceitems                         invoice_items.list_page                                                 InvoiceItemListParams
GET    /v1/invoiceitems/{}                      retrieve(invoiceitem,invoiceitem)                                       InvoiceItemRetrieveParams
POST   /v1/invoiceitems/{}                      invoice_items.update                                                    InvoiceItemUpdateParams
DELETE /v1/invoiceitems/{}                      invoice_items.delete                                                    InvoiceItemDeleteParams
GET    /v1/invoice_payments                     invoices.list_payments                                                  InvoicePaymentListParams
GET    /v1/invoice_payments/{}                  retrieve(invoice_payment,invoice_payment)                               InvoicePaymentRetrieveParams
POST   /v1/payment_intents                      payment_intents.create                                                  PaymentIntentCreateParams
GET    /v1/payment_intents                      list_page(payment_intent,customer)                                      PaymentIntentListParams
GET    /v1/payment_intents/{}                   retrieve(payment_intent,intent)                                         PaymentIntentRetrieveParams
POST   /v1/payment_intents/{}                   payment_intents.update                                                  PaymentIntentUpdateParams
POST   /v1/payment_intents/{}/confirm           payment_intents.confirm                                                 PaymentIntentConfirmParams
POST   /v1/payment_intents/{}/cancel            payment_intents.cancel                                                  PaymentIntentCancelParams
GET    /v1/charges                              list_page(charge,customer,payment_intent)                               ChargeListParams
GET    /v1/charges/{}                           retrieve(charge,id)                                                     ChargeRetrieveParams
GET    /v1/disputes                             list_page(dispute,charge,payment_intent)                                DisputeListParams
GET    /v1/disputes/{}                          retrieve(dispute,dispute)                                               DisputeRetrieveParams
POST   /v1/disputes/{}/close                    disputes.close                                                          DisputeCloseParams
POST   /v1/refunds                              refunds.create                                                          RefundCreateParams
GET    /v1/refunds                              list_page(refund,charge,payment_intent)                                 RefundListParams
GET    /v1/refunds/{}                           retrieve(refund,refund)                                                 RefundRetrieveParams
POST   /v1/credit_notes                         credit_notes.create                                                     CreditNoteCreateParams
GET    /v1/credit_notes                         list_page(credit_note,invoice)                                          CreditNoteListParams
GET    /v1/credit_notes/preview                 credit_notes.preview                                                    CreditNotePreviewParams
GET    /v1/credit_notes/{}                      retrieve(credit_note,id)                                                CreditNoteRetrieveParams
POST   /v1/checkout/sessions                    checkout_sessions.create                                                checkout.SessionCreateParams
GET    /v1/checkout/sessions                    list_page(checkout.session,customer,status,subscription,payment_intent) checkout.SessionListParams
GET    /v1/checkout/sessions/{}                 retrieve(checkout.session,session)                                      checkout.SessionRetrieveParams
POST   /v1/checkout/sessions/{}/expire          checkout_sessions.expire                                                checkout.SessionExpireParams
POST   /v1/billing_portal/sessions              billing_portal.create_session                                           billing_portal.SessionCreateParams
POST   /v1/billing_portal/configurations        billing_portal.create                                                   billing_portal.ConfigurationCreateParams
GET    /v1/billing_portal/configurations        list_page(billing_portal.configuration,active,is_default)               billing_portal.ConfigurationListParams
GET    /v1/billing_portal/configurations/{}     retrieve(billing_portal.configuration,configuration)                    billing_portal.ConfigurationRetrieveParams
POST   /v1/billing_portal/configurations/{}     billing_portal.update                                                   billing_portal.ConfigurationUpdateParams
GET    /v1/setup_intents/{}                     retrieve(setup_intent,intent)                                           SetupIntentRetrieveParams
GET    /v1/events                               events.list_page                                                        EventListParams
GET    /v1/events/{}                            events.retrieve                                                         EventRetrieveParams
"""

ROUTES = tuple(Route(*line.split()) for line in _TABLE.strip().splitlines())
_SPLIT = tuple((route, tuple(route.path.split("/"))) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint that serves this request, and the ids in its path."""
    parts = tuple(path.split("/"))
    for route, pattern in _SPLIT:
        if route.method == method and len(pattern) == len(parts):
            pairs = list(zip(pattern, parts, strict=True))
            if all(expected in ("{}", part) and part for expected, part in pairs[1:]):
                return route, tuple(part for expected, part in pairs if expected == "{}")
    return None
