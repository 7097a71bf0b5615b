"""The worker: settles what arrived, follows the clock, fetches what events left open."""
