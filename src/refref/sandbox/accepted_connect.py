"""The parameters Stripe knows for the calls of Connect, of money and of grants, as `accepted` has them for the rest."""

TABLE = """
POST /v1/account_links
    account collect collection_options refresh_url return_url type
GET /v1/accounts
    created +pages
POST /v1/accounts
    account_token bank_account business_profile business_type capabilities company controller country
    default_currency documents email external_account groups individual metadata settings tos_acceptance type
POST /v1/accounts/{id}
    account_token business_profile business_type capabilities company default_currency documents email
    external_account groups individual metadata settings tos_acceptance
POST /v1/accounts/{id}/capabilities/{part}
    requested
GET /v1/accounts/{id}/external_accounts
    object +pages
POST /v1/accounts/{id}/external_accounts
    bank_account default_for_currency external_account metadata
POST /v1/accounts/{id}/external_accounts/{part}
    account_holder_name account_holder_type account_type address_city address_country address_line1
    address_line2 address_state address_zip default_for_currency documents exp_month exp_year metadata name
POST /v1/accounts/{id}/reject
    reason
GET /v1/billing/credit_grants
    customer customer_account +pages
POST /v1/billing/credit_grants
    amount applicability_config category customer customer_account effective_at expires_at metadata name
    priority
POST /v1/billing/credit_grants/{id}
    expires_at metadata
GET /v1/entitlements/active_entitlements
    customer +pages
GET /v1/entitlements/features
    archived lookup_key +pages
POST /v1/entitlements/features
    lookup_key metadata name
POST /v1/entitlements/features/{id}
    active metadata name
GET /v1/payouts
    arrival_date created destination status +pages
POST /v1/payouts
    amount currency description destination metadata method payout_method source_type statement_descriptor
POST /v1/payouts/{id}
    metadata
POST /v1/payouts/{id}/reverse
    metadata
GET /v1/products/{id}/features
    +pages
POST /v1/products/{id}/features
    entitlement_feature
GET /v1/topups
    amount created status +pages
POST /v1/topups
    amount currency description metadata source statement_descriptor transfer_group
POST /v1/topups/{id}
    description metadata
GET /v1/transfers
    created destination transfer_group +pages
POST /v1/transfers
    amount currency description destination metadata source_transaction source_type transfer_group
GET /v1/transfers/{id}/reversals
    +pages
POST /v1/transfers/{id}/reversals
    amount description metadata refund_application_fee
POST /v1/transfers/{id}
    description metadata
POST /v1/transfers/{id}/reversals/{part}
    metadata
"""
