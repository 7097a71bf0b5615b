"""Every write: gather, decide, apply. One transaction each, opened by the edge; flows never call flows."""
