"""A slow and obvious re-implementation of docs/terms.md, and random histories to compare the product with it."""
