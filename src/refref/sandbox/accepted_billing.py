"""The parameters Stripe knows for the calls on billing that `accepted` does not list; the same form, the same judge."""

TABLE = """\
POST /v1/subscription_items
    billing_thresholds discounts metadata payment_behavior price price_data proration_behavior proration_date
    quantity subscription tax_rates
POST /v1/subscription_items/{id}
    billing_thresholds discounts metadata off_session payment_behavior price price_data proration_behavior
    proration_date quantity tax_rates
DELETE /v1/subscription_items/{id}
    clear_usage payment_behavior proration_behavior proration_date
POST /v1/subscriptions/{id}/resume
    billing_cycle_anchor proration_behavior proration_date
POST /v1/subscription_schedules
    billing_mode customer customer_account default_settings end_behavior from_subscription metadata phases
    start_date
GET /v1/subscription_schedules
    canceled_at completed_at created customer customer_account released_at scheduled +pages
POST /v1/subscription_schedules/{id}
    default_settings end_behavior metadata phases proration_behavior
POST /v1/subscription_schedules/{id}/release
    preserve_cancel_date
POST /v1/subscription_schedules/{id}/cancel
    invoice_now prorate
POST /v1/invoiceitems/{id}
    amount description discountable discounts metadata period price_data pricing quantity quantity_decimal
    tax_behavior tax_code tax_rates unit_amount_decimal
POST /v1/invoices/create_preview
    automatic_tax currency customer customer_account customer_details discounts invoice_items issuer on_behalf_of
    preview_mode schedule schedule_details subscription subscription_details
POST /v1/invoices/{id}/add_lines
    invoice_metadata lines
POST /v1/invoices/{id}/update_lines
    invoice_metadata lines
POST /v1/invoices/{id}/remove_lines
    invoice_metadata lines
POST /v1/invoices/{id}/lines/{part}
    amount description discountable discounts metadata period price_data pricing quantity quantity_decimal
    tax_amounts tax_rates
POST /v1/test_helpers/test_clocks
    customer frozen_time name
GET /v1/test_helpers/test_clocks
    +pages
POST /v1/test_helpers/test_clocks/{id}/advance
    frozen_time
POST /v1/payment_methods/{id}
    allow_redisplay billing_details card metadata payto us_bank_account
GET /v1/customers/{id}/payment_methods
    allow_redisplay type +pages
POST /v1/setup_intents/{id}
    attach_to_self customer customer_account description excluded_payment_method_types flow_directions metadata
    payment_method payment_method_configuration payment_method_data payment_method_options payment_method_types
POST /v1/setup_intents/{id}/confirm
    client_secret confirmation_token mandate_data payment_method payment_method_data payment_method_options
    return_url use_stripe_sdk
POST /v1/setup_intents/{id}/cancel
    cancellation_reason
POST /v1/payment_links
    after_completion allow_promotion_codes application_fee_amount application_fee_percent automatic_tax
    billing_address_collection consent_collection currency custom_fields custom_text customer_creation
    inactive_message invoice_creation line_items managed_payments metadata name_collection on_behalf_of
    optional_items payment_intent_data payment_method_collection payment_method_options payment_method_types
    phone_number_collection restrictions shipping_address_collection shipping_options submit_type subscription_data
    tax_id_collection transfer_data
GET /v1/payment_links
    active +pages
POST /v1/payment_links/{id}
    active after_completion allow_promotion_codes automatic_tax billing_address_collection custom_fields custom_text
    customer_creation inactive_message invoice_creation line_items metadata name_collection optional_items
    payment_intent_data payment_method_collection payment_method_options payment_method_types
    phone_number_collection restrictions shipping_address_collection submit_type subscription_data tax_id_collection
GET /v1/payment_links/{id}/line_items
    +pages
POST /v1/shipping_rates
    delivery_estimate display_name fixed_amount metadata tax_behavior tax_code type
GET /v1/shipping_rates
    active created currency +pages
POST /v1/shipping_rates/{id}
    active fixed_amount metadata tax_behavior
POST /v1/tax_rates/{id}
    active country description display_name jurisdiction metadata state tax_type
POST /v1/customers/{id}/balance_transactions/{part}
    description metadata
GET /v1/customers/{id}/subscriptions
    +pages
GET /v1/charges/search
    limit page query
GET /v1/customers/search
    limit page query
GET /v1/invoices/search
    limit page query
GET /v1/payment_intents/search
    limit page query
GET /v1/prices/search
    limit page query
GET /v1/products/search
    limit page query
GET /v1/subscriptions/search
    limit page query
GET /v1/checkout/sessions/{id}/line_items
    +pages
GET /v1/credit_notes/{id}/lines
    +pages
"""
