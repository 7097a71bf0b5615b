"""Pure rules of RefRef: money, facts, attribution, rewards, ledger. No I/O, no clock, no SQL, no Stripe SDK."""
