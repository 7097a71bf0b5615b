"""Every story of the library comes out as it says, however Stripe tells it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from refref.core.placed_file import Yaml12Loader
from refref.simulator import story
from refref.simulator.mode import API_VERSIONS, Mode
from refref.simulator.reading import read_story
from refref.simulator.shelf import ShelfStory, library, story_named
from refref.simulator.story import story_schema
from refref.simulator.text import verdict
from simulator.telling import differences, play

ROOT = Path(__file__).parents[2]
STORIES = [pytest.param(one, id=one.name) for one in library()]
WANTED = (
    "saas-with-trial",
    "annual-plan-with-refund",
    "upgrade-and-downgrade",
    "marketplace-two-currencies",
    "two-sided-referral",
    "tiers-by-referrals",
    "caps-and-budget",
    "disputes-won-and-lost",
    "promotion-code-and-click",
    "revenue-share-split",
    "existing-customers",
    "custom-event",
)


def test_the_library_has_a_story_for_each_thing_to_learn() -> None:
    assert {one.name for one in library()} >= set(WANTED)
    assert story_named("saas-with-trial") is not None
    assert story_named("no-such-story") is None


@pytest.mark.parametrize("one", STORIES)
def test_a_story_comes_out_as_it_says(one: ShelfStory) -> None:
    played = play(one.text)
    assert differences(played) == {}
    assert len(played.checked) >= 3
    assert played.rewards


@pytest.mark.parametrize("version", [API_VERSIONS[0], "2025-02-24.acacia", API_VERSIONS[-1]])
@pytest.mark.parametrize("one", STORIES)
def test_a_story_is_the_same_in_other_versions_and_in_disorder(one: ShelfStory, version: str) -> None:
    calm = play(one.text)
    other = play(one.text, Mode(version, is_shuffled=True, copies=2))
    assert differences(other) == {}
    assert (other.rewards, other.balances) == (calm.rewards, calm.balances)


@pytest.mark.parametrize("one", STORIES)
def test_a_story_teaches_and_is_plainly_a_sample(one: ShelfStory) -> None:
    assert one.text.startswith("# ")
    assert "What it teaches" in one.text
    read = read_story(one.text).story
    addresses = [person.email for person in (*read.participants, *read.customers) if person.email]
    assert all(address.partition("@")[2] in ("example.com", "example.org") for address in addresses)


@pytest.mark.parametrize("one", STORIES)
def test_a_story_fits_the_published_schema(one: ShelfStory) -> None:
    published = json.loads((ROOT / "docs" / "stories.schema.json").read_text())
    given = yaml.load(one.text, Loader=Yaml12Loader)  # noqa: S506 - a SafeLoader
    errors = [str(error) for error in jsonschema_rs.validator_for(published).iter_errors(given)]
    assert errors == []


def test_a_wrong_story_does_not_fit_the_schema() -> None:
    validator = jsonschema_rs.validator_for(story_schema())
    assert validator.is_valid({"title": "x", "starts": "2026-01-15"})
    assert not validator.is_valid({"title": "x"})
    assert not validator.is_valid({"title": "x", "starts": "2026-01-15", "customer": []})


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads((ROOT / "docs" / "stories.schema.json").read_text())
    assert published == json.loads(json.dumps(story_schema())), (
        "run: ./run refref simulate --schema > docs/stories.schema.json"
    )


def test_the_page_tells_of_every_field() -> None:
    page = (ROOT / "docs" / "stories.md").read_text()
    unsaid = [name for name in _fields() if not re.search(rf"`{name}[`:]", page)]
    assert unsaid == []


def test_the_example_of_the_page_is_true(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "stories.md").read_text()
    example, shown = (
        re.search(r"```yaml\n(.*?)```", page, re.DOTALL),
        re.search(r"```\n(my-story.*?)```", page, re.DOTALL),
    )
    assert example is not None
    assert shown is not None
    assert differences(play(example[1])) == {}
    wrong = example[1].replace("amount: 6.00 USD, status: payable", "amount: 12.00 USD, status: payable")
    assert shown[1] in verdict(play(wrong), "my-story.yaml") + "\n"


def _fields() -> list[str]:
    """Every field of the format, but for those of terms, which are told elsewhere."""
    own = [kind for kind in vars(story).values() if isinstance(kind, type) and issubclass(kind, story.Part)]
    return sorted({name for kind in own for name in kind.__struct_fields__})
