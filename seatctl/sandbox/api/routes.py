"""The endpoints: method, path, the function that serves them, and the SDK type of their parameters.

The functions are named, not imported, so that a request loads only the module that serves it. `MODULE.NAME` is
a function of `sandbox/resources/`; it gets the session, the parameters and what the path names, in order. `{KIND}`
in a path is the id of an object that must exist; the function gets the object. If the refusal of an unknown id has
another `param` than the kind, it is `{KIND:PARAM}`. `{}` is an id as it was sent.

`NAME` and `NAME(WORD,…)` are functions of `sandbox/resources/shared.py`: `retrieve`, `update(FIELD,…)`,
`delete(EVENT)`, `list_page(KIND,FILTER,…)`. A `FILTER` is a parameter that a field of the same name must match;
`NAME=FIELD` gives a field of another name, `~NAME` compares in any case, and `!NAME` refuses the id of an unknown
object of the kind `NAME`. What a list always filters by (`customer`, and `PARENTS` in sandbox/store.py) is not named.
"""

from __future__ import annotations

# The table has one endpoint a line.
# ruff: noqa: E501
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

Handler = Callable[..., Obj]
_PLACE = re.compile(r"\{([\w.]*):?(\w*)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint; `params` names the SDK's parameter type (`checkout.X` for one of a sub-package)."""

    method: str
    path: str
    serves: str
    params: str

    def handler(self) -> Handler:
        """Return the function that serves the endpoint; its module is loaded now."""
        name = self.serves.partition("(")[0]
        module, function = name.split(".") if "." in name else ("shared", name)
        handler: Handler = getattr(import_module(f"seatctl.sandbox.resources.{module}"), function)
        return handler

    def serve(self, session: Session, params: Obj, ids: tuple[str, ...]) -> Obj:
        """Answer a request with these ids in its path."""
        name, _, arguments = self.serves.partition("(")
        path = [
            session.find(kind, identifier, param or kind, status=404) if kind else identifier
            for (kind, param), identifier in zip(_PLACE.findall(self.path), ids, strict=True)
        ]
        if "." in name:
            return self.handler()(session, params, *path)
        words = arguments.removesuffix(")").split(",") if arguments else []
        return self.handler()(session, params, _PLACE.sub("{}", self.path).format(*ids), path, *words)


_TABLE = """
GET    /v1/account                                                                                 account                                                                      AccountRetrieveCurrentParams
POST   /v1/customers                                                                               customers.create                                                             CustomerCreateParams
GET    /v1/customers                                                                               list_page(customer,email,test_clock)                                         CustomerListParams
GET    /v1/customers/{}                                                                            customers.retrieve                                                           CustomerRetrieveParams
POST   /v1/customers/{customer:id}                                                                 customers.update                                                             CustomerUpdateParams
DELETE /v1/customers/{customer:id}                                                                 customers.delete                                                             CustomerDeleteParams
GET    /v1/customers/{customer:id}/payment_methods                                                 list_page(payment_method,type,allow_redisplay)                               CustomerPaymentMethodListParams
GET    /v1/customers/{customer:id}/payment_methods/{}                                              payment_methods.retrieve_of_customer                                         CustomerPaymentMethodRetrieveParams
POST   /v1/customers/{customer:id}/balance_transactions                                            customers.adjust_balance                                                     CustomerBalanceTransactionCreateParams
GET    /v1/customers/{customer:id}/balance_transactions                                            list_page(customer_balance_transaction,invoice)                              CustomerBalanceTransactionListParams
GET    /v1/customers/{customer:id}/balance_transactions/{customer_balance_transaction:transaction} retrieve                                                                     CustomerBalanceTransactionRetrieveParams
POST   /v1/customers/{customer:id}/balance_transactions/{customer_balance_transaction:transaction} customers.update_balance_transaction                                         CustomerBalanceTransactionUpdateParams
POST   /v1/customers/{customer:id}/tax_ids                                                         customers.create_tax_id                                                      CustomerTaxIdCreateParams
GET    /v1/customers/{customer:id}/tax_ids                                                         list_page(tax_id)                                                            CustomerTaxIdListParams
GET    /v1/customers/{customer:id}/tax_ids/{tax_id:id}                                             retrieve                                                                     CustomerTaxIdRetrieveParams
DELETE /v1/customers/{customer:id}/tax_ids/{tax_id:id}                                             delete(customer.tax_id.deleted)                                              CustomerTaxIdDeleteParams
POST   /v1/payment_methods                                                                         payment_methods.create                                                       PaymentMethodCreateParams
GET    /v1/payment_methods                                                                         payment_methods.list_page                                                    PaymentMethodListParams
GET    /v1/payment_methods/{}                                                                      payment_methods.retrieve                                                     PaymentMethodRetrieveParams
POST   /v1/payment_methods/{payment_method}                                                        payment_methods.update                                                       PaymentMethodUpdateParams
POST   /v1/payment_methods/{}/attach                                                               payment_methods.attach                                                       PaymentMethodAttachParams
POST   /v1/payment_methods/{payment_method}/detach                                                 payment_methods.detach                                                       PaymentMethodDetachParams
POST   /v1/products                                                                                products.create                                                              ProductCreateParams
GET    /v1/products                                                                                list_page(product,active,shippable,url,ids=id)                               ProductListParams
GET    /v1/products/{product:id}                                                                   retrieve                                                                     ProductRetrieveParams
POST   /v1/products/{product:id}                                                                   products.update                                                              ProductUpdateParams
DELETE /v1/products/{product:id}                                                                   products.delete                                                              ProductDeleteParams
POST   /v1/prices                                                                                  prices.create                                                                PriceCreateParams
GET    /v1/prices                                                                                  list_page(price,!product,active,currency,type,lookup_keys=lookup_key,recurring)       PriceListParams
GET    /v1/prices/{price}                                                                          retrieve                                                                     PriceRetrieveParams
POST   /v1/prices/{price}                                                                          prices.update                                                                PriceUpdateParams
POST   /v1/coupons                                                                                 coupons.create                                                               CouponCreateParams
GET    /v1/coupons                                                                                 list_page(coupon)                                                            CouponListParams
GET    /v1/coupons/{coupon}                                                                        retrieve                                                                     CouponRetrieveParams
POST   /v1/coupons/{coupon}                                                                        update(name)                                                                 CouponUpdateParams
DELETE /v1/coupons/{coupon}                                                                        delete(coupon.deleted)                                                       CouponDeleteParams
POST   /v1/promotion_codes                                                                         promotion_codes.create                                                       PromotionCodeCreateParams
GET    /v1/promotion_codes                                                                         list_page(promotion_code,active,~code,coupon=promotion.coupon)               PromotionCodeListParams
GET    /v1/promotion_codes/{promotion_code}                                                        retrieve                                                                     PromotionCodeRetrieveParams
POST   /v1/promotion_codes/{promotion_code}                                                        update(active)                                                               PromotionCodeUpdateParams
GET    /v1/tax_rates                                                                               list_page(tax_rate,active,inclusive)                                         TaxRateListParams
GET    /v1/tax_rates/{tax_rate}                                                                    retrieve                                                                     TaxRateRetrieveParams
POST   /v1/subscriptions                                                                           subscriptions.create                                                         SubscriptionCreateParams
GET    /v1/subscriptions                                                                           subscriptions.list_page                                                      SubscriptionListParams
GET    /v1/subscriptions/{subscription:id}                                                         retrieve                                                                     SubscriptionRetrieveParams
POST   /v1/subscriptions/{subscription:id}                                                         subscription_updates.update                                                  SubscriptionUpdateParams
DELETE /v1/subscriptions/{subscription:id}                                                         subscriptions.cancel                                                         SubscriptionCancelParams
POST   /v1/subscriptions/{subscription:id}/migrate                                                 subscriptions.migrate                                                        SubscriptionMigrateParams
POST   /v1/subscriptions/{subscription:id}/resume                                                  subscriptions.resume                                                         SubscriptionResumeParams
POST   /v1/subscription_items                                                                      subscription_items.create                                                    SubscriptionItemCreateParams
GET    /v1/subscription_items                                                                      subscription_items.list_page                                                 SubscriptionItemListParams
GET    /v1/subscription_items/{subscription_item}                                                 retrieve                                                                     SubscriptionItemRetrieveParams
POST   /v1/subscription_items/{subscription_item}                                                 subscription_items.update                                                    SubscriptionItemUpdateParams
DELETE /v1/subscription_items/{subscription_item}                                                 subscription_items.delete                                                    SubscriptionItemDeleteParams
POST   /v1/subscription_schedules                                                                 subscription_schedules.create                                                SubscriptionScheduleCreateParams
GET    /v1/subscription_schedules                                                                 list_page(subscription_schedule)                                             SubscriptionScheduleListParams
GET    /v1/subscription_schedules/{subscription_schedule:schedule}                                retrieve                                                                     SubscriptionScheduleRetrieveParams
POST   /v1/subscription_schedules/{subscription_schedule:schedule}                                subscription_schedules.update                                                SubscriptionScheduleUpdateParams
POST   /v1/subscription_schedules/{subscription_schedule:schedule}/release                        subscription_schedules.release                                               SubscriptionScheduleReleaseParams
POST   /v1/subscription_schedules/{subscription_schedule:schedule}/cancel                         subscription_schedules.cancel                                                SubscriptionScheduleCancelParams
POST   /v1/invoices                                                                                invoices.create                                                              InvoiceCreateParams
GET    /v1/invoices                                                                                list_page(invoice,!customer,!subscription,status,collection_method,due_date) InvoiceListParams
POST   /v1/invoices/create_preview                                                                 invoice_previews.create_preview                                              InvoiceCreatePreviewParams
GET    /v1/invoices/{invoice}                                                                      retrieve                                                                     InvoiceRetrieveParams
POST   /v1/invoices/{invoice:id}                                                                   invoices.update                                                              InvoiceUpdateParams
DELETE /v1/invoices/{invoice}                                                                      invoices.delete                                                              InvoiceDeleteParams
POST   /v1/invoices/{invoice:id}/finalize                                                          invoices.finalize                                                            InvoiceFinalizeInvoiceParams
POST   /v1/invoices/{invoice:id}/pay                                                               invoices.pay                                                                 InvoicePayParams
POST   /v1/invoices/{invoice}/send                                                                 invoices.send                                                                InvoiceSendInvoiceParams
POST   /v1/invoices/{invoice:id}/void                                                              invoices.void                                                                InvoiceVoidInvoiceParams
POST   /v1/invoices/{invoice:id}/mark_uncollectible                                                invoices.mark_uncollectible                                                  InvoiceMarkUncollectibleParams
GET    /v1/invoices/{invoice}/lines                                                                invoice_lines.list_page                                                      InvoiceLineItemListParams
POST   /v1/invoices/{invoice}/lines/{}                                                             invoice_lines.update                                                         InvoiceLineItemUpdateParams
POST   /v1/invoices/{invoice}/add_lines                                                            invoice_lines.add                                                            InvoiceAddLinesParams
POST   /v1/invoices/{invoice}/update_lines                                                         invoice_lines.update_many                                                    InvoiceUpdateLinesParams
POST   /v1/invoices/{invoice}/remove_lines                                                         invoice_lines.remove                                                         InvoiceRemoveLinesParams
POST   /v1/invoiceitems                                                                            invoice_items.create                                                         InvoiceItemCreateParams
GET    /v1/invoiceitems                                                                            invoice_items.list_page                                                      InvoiceItemListParams
GET    /v1/invoiceitems/{invoiceitem:id}                                                           retrieve                                                                     InvoiceItemRetrieveParams
POST   /v1/invoiceitems/{}                                                                         invoice_items.change                                                         InvoiceItemUpdateParams
DELETE /v1/invoiceitems/{}                                                                         invoice_items.remove                                                         InvoiceItemDeleteParams
GET    /v1/invoice_payments                                                                        list_page(invoice_payment,!invoice,status,payment)                           InvoicePaymentListParams
GET    /v1/invoice_payments/{invoice_payment}                                                      retrieve                                                                     InvoicePaymentRetrieveParams
POST   /v1/payment_intents                                                                         payment_intents.create                                                       PaymentIntentCreateParams
GET    /v1/payment_intents                                                                         list_page(payment_intent,!customer)                                          PaymentIntentListParams
GET    /v1/payment_intents/{payment_intent:intent}                                                 retrieve                                                                     PaymentIntentRetrieveParams
POST   /v1/payment_intents/{payment_intent:intent}                                                 payment_intents.update                                                       PaymentIntentUpdateParams
POST   /v1/payment_intents/{payment_intent:intent}/confirm                                         payment_intents.confirm                                                      PaymentIntentConfirmParams
POST   /v1/payment_intents/{payment_intent:intent}/capture                                         payment_intents.capture                                                      PaymentIntentCaptureParams
POST   /v1/payment_intents/{payment_intent:intent}/cancel                                          payment_intents.cancel                                                       PaymentIntentCancelParams
GET    /v1/charges                                                                                 list_page(charge,!customer)                                                  ChargeListParams
GET    /v1/charges/{charge:id}                                                                     retrieve                                                                     ChargeRetrieveParams
POST   /v1/charges/{charge:id}                                                                     update(description,receipt_email)                                            ChargeUpdateParams
GET    /v1/disputes                                                                                list_page(dispute,payment_intent)                                            DisputeListParams
GET    /v1/disputes/{dispute}                                                                      retrieve                                                                     DisputeRetrieveParams
POST   /v1/disputes/{dispute}/close                                                                disputes.close                                                               DisputeCloseParams
POST   /v1/refunds                                                                                 refunds.create                                                               RefundCreateParams
GET    /v1/refunds                                                                                 list_page(refund,!charge,!payment_intent,payment_intent)                                             RefundListParams
GET    /v1/refunds/{refund}                                                                        retrieve                                                                     RefundRetrieveParams
POST   /v1/refunds/{refund}                                                                        update                                                                       RefundUpdateParams
POST   /v1/credit_notes                                                                            credit_notes.create                                                          CreditNoteCreateParams
GET    /v1/credit_notes                                                                            list_page(credit_note)                                                       CreditNoteListParams
GET    /v1/credit_notes/preview                                                                    credit_notes.preview                                                         CreditNotePreviewParams
GET    /v1/credit_notes/{credit_note:id}                                                           retrieve                                                                     CreditNoteRetrieveParams
POST   /v1/credit_notes/{credit_note:id}                                                           update(memo)                                                                 CreditNoteUpdateParams
GET    /v1/credit_notes/{credit_note:id}/lines                                                     credit_notes.list_lines                                                      CreditNoteLineItemListParams
POST   /v1/checkout/sessions                                                                       checkout_sessions.create                                                     checkout.SessionCreateParams
GET    /v1/checkout/sessions                                                                       list_page(checkout.session,!customer,status,subscription,payment_intent)     checkout.SessionListParams
GET    /v1/checkout/sessions/{checkout.session:session}                                            retrieve                                                                     checkout.SessionRetrieveParams
POST   /v1/checkout/sessions/{checkout.session:session}/expire                                     checkout_sessions.expire                                                     checkout.SessionExpireParams
POST   /v1/billing_portal/sessions                                                                 billing_portal.create_session                                                billing_portal.SessionCreateParams
POST   /v1/billing_portal/configurations                                                           billing_portal.create                                                        billing_portal.ConfigurationCreateParams
GET    /v1/billing_portal/configurations                                                           list_page(billing_portal.configuration,active,is_default)                    billing_portal.ConfigurationListParams
GET    /v1/billing_portal/configurations/{billing_portal.configuration:configuration}              retrieve                                                                     billing_portal.ConfigurationRetrieveParams
POST   /v1/billing_portal/configurations/{billing_portal.configuration:configuration}              billing_portal.update                                                        billing_portal.ConfigurationUpdateParams
GET    /v1/setup_intents/{setup_intent:intent}                                                     retrieve                                                                     SetupIntentRetrieveParams
GET    /v1/setup_intents                                                                           list_page(setup_intent,!customer,payment_method)                             SetupIntentListParams
GET    /v1/mandates/{mandate}                                                                      retrieve                                                                     MandateRetrieveParams
GET    /v1/events                                                                                  events.list_page                                                             EventListParams
GET    /v1/events/{event:id}                                                                       events.retrieve                                                              EventRetrieveParams
POST   /v1/test_helpers/test_clocks                                                                test_clocks.create                                                           test_helpers.TestClockCreateParams
GET    /v1/test_helpers/test_clocks                                                                list_page(test_helpers.test_clock)                                           test_helpers.TestClockListParams
GET    /v1/test_helpers/test_clocks/{test_helpers.test_clock:test_clock}                           test_clocks.retrieve                                                         test_helpers.TestClockRetrieveParams
DELETE /v1/test_helpers/test_clocks/{test_helpers.test_clock:test_clock}                           test_clocks.delete                                                           test_helpers.TestClockDeleteParams
POST   /v1/test_helpers/test_clocks/{test_helpers.test_clock:test_clock}/advance                   test_clocks.advance                                                          test_helpers.TestClockAdvanceParams
"""

ROUTES = tuple(Route(*line.split()) for line in _TABLE.strip().splitlines())
_SPLIT = tuple((route, tuple(_PLACE.sub("{}", route.path).split("/"))) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The endpoint that serves this request, and the ids in its path."""
    parts = tuple(path.split("/"))
    for route, pattern in _SPLIT:
        if route.method == method and len(pattern) == len(parts):
            pairs = list(zip(pattern, parts, strict=True))
            if all(expected in ("{}", part) and part for expected, part in pairs[1:]):
                return route, tuple(part for expected, part in pairs if expected == "{}")
    return None
