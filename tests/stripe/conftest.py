"""Makes the payload builders beside the tests importable, and gives the recorded objects where they are at hand."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

RECORDED = Path(__file__).parents[2].parent / "shared" / "stripe" / "recorded"


class Recorded:
    """The recorded objects of Stripe by file name; skips the test where they are not at hand."""

    def names(self, pattern: str = "*.json") -> list[str]:
        found = sorted(path.name for path in RECORDED.glob(pattern))
        if not found:
            pytest.skip("the recorded Stripe objects (shared/stripe/recorded beside the repository) are not here")
        return found

    def load(self, name: str) -> dict[str, Any]:
        path = RECORDED / name
        if not path.exists():
            pytest.skip(f"the recorded Stripe object {name} (shared/stripe/recorded beside the repository) is not here")
        return json.loads(path.read_text())


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    return Recorded()
