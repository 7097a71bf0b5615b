"""Every write: gather, decide, apply. The edge opens the transaction; a flow never opens one and never calls a flow."""
