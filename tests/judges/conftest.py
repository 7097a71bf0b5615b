"""The shop of the sandbox's tests, for the judges' tests."""

from sandbox.conftest import sb, shop

__all__ = ["sb", "shop"]
