"""The steps of connecting Stripe that pages, API, command line and worker share: a transaction, a call, a transaction.

Opens transactions for its edges, and never calls Stripe inside one. Rules are in core, writes in flows.
"""
