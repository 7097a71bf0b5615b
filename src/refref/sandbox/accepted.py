"""The parameters Stripe knows for each call, from its OpenAPI specification (2026-05-27); a test compares them.

A name that is not here is refused as Stripe refuses it. Being here does not mean that the sandbox acts on it.
"""

from refref.sandbox.accepted_billing import TABLE as TABLE_OF_BILLING
from refref.sandbox.accepted_connect import TABLE as TABLE_OF_CONNECT

# A call, and indented below it the names it takes; `+pages` are the three of paging.
TABLE = """
POST /v1/customers
    address balance business_name cash_balance description email individual_name invoice_prefix invoice_settings
    metadata name next_invoice_sequence payment_method phone preferred_locales shipping source tax tax_exempt
    tax_id_data test_clock
GET /v1/customers
    created email test_clock +pages
POST /v1/customers/{id}
    address balance bank_account business_name card cash_balance default_alipay_account default_bank_account
    default_card default_source description email individual_name invoice_prefix invoice_settings metadata name
    next_invoice_sequence phone preferred_locales shipping source tax tax_exempt
POST /v1/customers/{id}/balance_transactions
    amount currency description metadata
GET /v1/customers/{id}/balance_transactions
    created invoice +pages
POST /v1/products
    active default_price_data description id images marketing_features metadata name package_dimensions shippable
    statement_descriptor tax_code unit_label url
GET /v1/products
    active created ids shippable url +pages
POST /v1/products/{id}
    active default_price description images marketing_features metadata name package_dimensions shippable
    statement_descriptor tax_code unit_label url
POST /v1/prices
    active billing_scheme currency currency_options custom_unit_amount lookup_key metadata nickname product
    product_data recurring tax_behavior tiers tiers_mode transfer_lookup_key transform_quantity unit_amount
    unit_amount_decimal
GET /v1/prices
    active created currency lookup_keys product recurring type +pages
POST /v1/prices/{id}
    active currency_options lookup_key metadata nickname tax_behavior transfer_lookup_key
POST /v1/tax_rates
    active country description display_name inclusive jurisdiction metadata percentage state tax_type
GET /v1/tax_rates
    active created inclusive +pages
POST /v1/coupons
    amount_off applies_to currency currency_options duration duration_in_months id max_redemptions metadata name
    percent_off redeem_by
GET /v1/coupons
    created +pages
POST /v1/coupons/{id}
    currency_options metadata name
POST /v1/promotion_codes
    active code customer customer_account expires_at max_redemptions metadata promotion restrictions
GET /v1/promotion_codes
    active code coupon created customer customer_account +pages
POST /v1/promotion_codes/{id}
    active metadata restrictions
POST /v1/checkout/sessions
    adaptive_pricing after_expiration allow_promotion_codes automatic_tax billing_address_collection
    branding_settings cancel_url client_reference_id consent_collection currency custom_fields custom_text customer
    customer_account customer_creation customer_email customer_update discounts excluded_payment_method_types
    expires_at integration_identifier invoice_creation line_items locale managed_payments metadata mode
    name_collection optional_items origin_context payment_intent_data payment_method_collection
    payment_method_configuration payment_method_data payment_method_options payment_method_types permissions
    phone_number_collection redirect_on_completion return_url saved_payment_method_options setup_intent_data
    shipping_address_collection shipping_options submit_type subscription_data success_url tax_id_collection ui_mode
    wallet_options
GET /v1/checkout/sessions
    created customer customer_account customer_details payment_intent payment_link status subscription +pages
POST /v1/checkout/sessions/{id}
    collected_information line_items metadata shipping_options
POST /v1/payment_intents
    amount amount_details application_fee_amount automatic_payment_methods capture_method confirm
    confirmation_method confirmation_token currency customer customer_account description error_on_requires_action
    excluded_payment_method_types hooks mandate mandate_data metadata off_session on_behalf_of payment_details
    payment_method payment_method_configuration payment_method_data payment_method_options payment_method_types
    radar_options receipt_email return_url setup_future_usage shipping statement_descriptor
    statement_descriptor_suffix transfer_data transfer_group use_stripe_sdk
GET /v1/payment_intents
    created customer customer_account +pages
POST /v1/payment_intents/{id}
    amount amount_details application_fee_amount capture_method currency customer customer_account description
    excluded_payment_method_types hooks metadata payment_details payment_method payment_method_configuration
    payment_method_data payment_method_options payment_method_types receipt_email setup_future_usage shipping
    statement_descriptor statement_descriptor_suffix transfer_data transfer_group
POST /v1/payment_intents/{id}/confirm
    amount_details amount_to_confirm capture_method client_secret confirmation_token error_on_requires_action
    excluded_payment_method_types hooks mandate mandate_data off_session payment_details payment_method
    payment_method_data payment_method_options payment_method_types radar_options receipt_email return_url
    setup_future_usage shipping use_stripe_sdk
POST /v1/payment_intents/{id}/cancel
    cancellation_reason
POST /v1/charges
    amount application_fee application_fee_amount capture card currency customer description destination metadata
    on_behalf_of radar_options receipt_email shipping source statement_descriptor statement_descriptor_suffix
    transfer_data transfer_group
GET /v1/charges
    created customer payment_intent transfer_group +pages
POST /v1/charges/{id}
    customer description fraud_details metadata receipt_email shipping transfer_group
POST /v1/refunds
    amount charge currency customer instructions_email metadata origin payment_intent reason refund_application_fee
    reverse_transfer
GET /v1/refunds
    charge created payment_intent +pages
POST /v1/refunds/{id}
    metadata
GET /v1/disputes
    charge created payment_intent +pages
POST /v1/disputes/{id}
    evidence metadata submit
POST /v1/invoices
    account_tax_ids application_fee_amount auto_advance automatic_tax automatically_finalizes_at collection_method
    currency custom_fields customer customer_account days_until_due default_payment_method default_source
    default_tax_rates description discounts due_date effective_at footer from_invoice issuer metadata number
    on_behalf_of payment_settings pending_invoice_items_behavior rendering shipping_cost shipping_details
    statement_descriptor subscription transfer_data
GET /v1/invoices
    collection_method created customer customer_account due_date status subscription +pages
POST /v1/invoices/{id}
    account_tax_ids application_fee_amount auto_advance automatic_tax automatically_finalizes_at collection_method
    custom_fields days_until_due default_payment_method default_source default_tax_rates description discounts
    due_date effective_at footer issuer metadata number on_behalf_of payment_settings rendering shipping_cost
    shipping_details statement_descriptor transfer_data
POST /v1/invoices/{id}/finalize
    auto_advance
POST /v1/invoices/{id}/pay
    forgive mandate off_session paid_out_of_band payment_method source
GET /v1/invoices/{id}/lines
    +pages
POST /v1/invoiceitems
    amount currency customer customer_account description discountable discounts invoice metadata period price_data
    pricing quantity quantity_decimal subscription tax_behavior tax_code tax_rates unit_amount_decimal
GET /v1/invoiceitems
    created customer customer_account invoice pending +pages
GET /v1/invoice_payments
    created invoice payment status +pages
POST /v1/subscriptions
    add_invoice_items application_fee_percent automatic_tax backdate_start_date billing_cycle_anchor
    billing_cycle_anchor_config billing_mode billing_schedules billing_thresholds cancel_at cancel_at_period_end
    collection_method currency customer customer_account days_until_due default_payment_method default_source
    default_tax_rates description discounts invoice_settings items metadata off_session on_behalf_of
    payment_behavior payment_settings pending_invoice_item_interval proration_behavior transfer_data trial_end
    trial_from_plan trial_period_days trial_settings
GET /v1/subscriptions
    automatic_tax collection_method created current_period_end current_period_start customer customer_account price
    status test_clock +pages
POST /v1/subscriptions/{id}
    add_invoice_items application_fee_percent automatic_tax billing_cycle_anchor billing_schedules
    billing_thresholds cancel_at cancel_at_period_end cancellation_details collection_method days_until_due
    default_payment_method default_source default_tax_rates description discounts invoice_settings items metadata
    off_session on_behalf_of pause_collection payment_behavior payment_settings pending_invoice_item_interval
    proration_behavior proration_date transfer_data trial_end trial_from_plan trial_settings
DELETE /v1/subscriptions/{id}
    cancellation_details invoice_now prorate
GET /v1/subscription_items
    subscription +pages
POST /v1/credit_notes
    amount credit_amount effective_at email_type invoice lines memo metadata out_of_band_amount reason refund_amount
    refunds shipping_cost
GET /v1/credit_notes
    created customer customer_account invoice +pages
POST /v1/credit_notes/{id}
    memo metadata
GET /v1/events
    created delivery_success type types +pages
POST /v1/webhook_endpoints
    api_version connect description enabled_events metadata url
GET /v1/webhook_endpoints
    +pages
POST /v1/webhook_endpoints/{id}
    description disabled enabled_events metadata url
GET /v1/balance_transactions
    created currency payout source type +pages
GET /v1/radar/early_fraud_warnings
    charge created payment_intent +pages
GET /v1/setup_intents
    attach_to_self created customer customer_account payment_method +pages
POST /v1/payment_intents/{id}/capture
    amount_details amount_to_capture application_fee_amount final_capture hooks metadata payment_details
    statement_descriptor statement_descriptor_suffix transfer_data
POST /v1/payment_methods
    acss_debit affirm afterpay_clearpay alipay allow_redisplay alma amazon_pay au_becs_debit bacs_debit bancontact
    billie billing_details bizum blik boleto card cashapp crypto custom customer customer_balance eps fpx giropay
    grabpay ideal interac_present kakao_pay klarna konbini kr_card link mb_way metadata mobilepay multibanco
    naver_pay nz_bank_account oxxo p24 pay_by_bank payco payment_method paynow paypal payto pix promptpay
    radar_options revolut_pay samsung_pay satispay scalapay sepa_debit sofort sunbit swish twint type upi
    us_bank_account wechat_pay zip
GET /v1/payment_methods
    allow_redisplay customer customer_account type +pages
POST /v1/payment_methods/{id}/attach
    customer customer_account
POST /v1/setup_intents
    attach_to_self automatic_payment_methods confirm confirmation_token customer customer_account description
    excluded_payment_method_types flow_directions mandate_data metadata on_behalf_of payment_method
    payment_method_configuration payment_method_data payment_method_options payment_method_types return_url
    single_use usage use_stripe_sdk
"""


def _read(table: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    call = ""
    for line in filter(None, table.splitlines()):
        if line.startswith(" "):
            found[call].update(line.split())
        else:
            call = line
            found[call] = set()
    pages = {"limit", "starting_after", "ending_before"}
    return {c: frozenset(names - {"+pages"} | (pages if "+pages" in names else set())) for c, names in found.items()}


ACCEPTED = _read(TABLE + TABLE_OF_BILLING + TABLE_OF_CONNECT)
