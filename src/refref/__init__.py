"""RefRef: a referral and affiliate platform around Stripe whose books can be explained, replayed and reconciled."""

__version__ = "0.1.0"
