"""Steps that the tests of the program builder share: a program begun, a form saved, a draft read and set."""

from datetime import UTC, datetime

import httpx

from refref.core.terms import Terms
from refref.core.terms_document import read_terms
from refref.db.pool import Database
from refref.flows.drafts import save_draft
from refref.flows.programs import publish_terms
from web.pages.conftest import SampleSite
from web.pages.forms import form_in


def new_program(owner: httpx.Client, template: str = "affiliate", **values: str) -> str:
    """The address of a new program whose terms are a draft."""
    address = f"/programs/new?template={template}"
    form = form_in(owner.get(address).text, "/programs/new")
    answer = owner.post("/programs/new", data={**form, "name": "Sample program", "then": "draft", **values})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removesuffix("/draft")


def save(owner: httpx.Client, page: str, **changes: str) -> httpx.Response:
    """Change some fields of a page's form and send it."""
    form = form_in(owner.get(page).text, page)
    unknown = set(changes) - set(form) - {"includes_tax", "includes_shipping"}
    assert not unknown, f"{page} has no {unknown}"
    return owner.post(page, data={**form, **changes})


def draft_of(owner: httpx.Client, program: str) -> Terms:
    """The terms of a program's draft, by the file that the pages give."""
    answer = owner.get(f"{program}/terms.yaml?version=draft")
    assert answer.status_code == 200
    return read_terms(answer.text)


def set_draft(sample_site: SampleSite, program: str, terms: Terms) -> None:
    """Make terms a program's draft."""

    async def store(database: Database) -> None:
        async with database.tenant(sample_site.sample.organization_id) as tx:
            await save_draft(
                tx,
                sample_site.sample.organization_id,
                program.rpartition("/")[2],
                terms=terms,
                actor="system",
                now=datetime.now(UTC),
            )

    sample_site.site.run(store)


def publish_beside_the_draft(sample_site: SampleSite, program: str, terms: Terms) -> None:
    """Publish terms as somebody else would who does not look at the draft."""

    async def store(database: Database) -> None:
        async with database.tenant(sample_site.sample.organization_id) as tx:
            await publish_terms(
                tx,
                sample_site.sample.organization_id,
                program.rpartition("/")[2],
                terms=terms,
                effective_at=None,
                actor="system",
                now=datetime.now(UTC),
            )

    sample_site.site.run(store)
