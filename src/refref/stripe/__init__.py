"""Stripe's side of the product: reading its events, checking its signatures, calling its API.

The only importer of the `stripe` SDK. Knows no database, no program rule and no clock.
"""
