"""The codes of the demo's sample participants, known to its sandbox (whose sales carry them) and to its set-up."""

REFCODES = (
    "sample-anchor",
    "sample-birch",
    "sample-cobalt",
    "sample-delta",
    "sample-ember",
    "sample-fjord",
    "sample-grove",
    "sample-harbor",
    "sample-indigo",
    "sample-juniper",
    "sample-kite",
    "sample-lagoon",
)
PROMOTION_CODES = ("SAMPLE-BIRCH-10", "SAMPLE-EMBER-10")
