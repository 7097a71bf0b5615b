"""What every page of the program builder works with: the program, its versions and draft, forms with their faults.

The terms in the editor are the draft's; where there is none, those of the newest version, with which a draft begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.faults import Fault
from refref.core.refusals import Refused
from refref.core.terms import QualifyingEvent, RewardRule, Strict, Terms
from refref.core.terms_check import faults_of
from refref.db import drafts
from refref.db import programs as stored
from refref.db.drafts import TermsDraft
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.flows.drafts import save_draft
from refref.flows.terms_names import names_in
from refref.web.pages import builder_words
from refref.web.pages.fault_words import in_plain_words
from refref.web.pages.rendering import render
from refref.web.pages.terms_form import row_numbers, values_of
from refref.web.pages.viewer import Connected, PageNotFound


@dataclass(frozen=True, slots=True)
class Desk:
    """A program in the editor. `names`: what people call the ids that its terms name."""

    program: Program
    versions: list[StoredTerms]
    draft: TermsDraft | None
    terms: Terms
    faults: tuple[Fault, ...]
    names: Mapping[str, str]

    @property
    def newest(self) -> StoredTerms | None:
        return self.versions[0] if self.versions else None

    @property
    def revision(self) -> int:
        return 0 if self.draft is None else self.draft.revision

    @property
    def path(self) -> str:
        """The address of the draft."""
        return f"/programs/{self.program.program_id}/draft"

    @property
    def is_outdated(self) -> bool:
        """Whether a version was published that the draft does not know of."""
        newest = self.newest.version if self.newest else 0
        return self.draft is not None and self.draft.based_on_version != newest

    def faults_below(self, path: str) -> tuple[Fault, ...]:
        """The faults of a part of the document, such as `terms.rules.2`."""
        return tuple(fault for fault in self.faults if fault.field == path or fault.field.startswith(f"{path}."))


@dataclass(frozen=True, slots=True)
class FormView:
    """The inputs of a form and what is wrong, by input or by the group around it."""

    values: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    def fault(self, name: str) -> str:
        return self.faults.get(name, "")

    def rows(self, name: str, spare: int = 1) -> list[int]:
        """The numbers of the rows to show: those filled in, and `spare` empty ones after them."""
        known = row_numbers(self.values, name)
        first = known[-1] + 1 if known else 0
        return [*known, *range(first, first + spare)]

    def is_set(self, *names: str) -> bool:
        """Whether one of these inputs, or a row below it, has something in it or is at fault."""
        return any(
            self.values.get(name)
            or self.faults.get(name)
            or any(key.startswith(f"{name}.") for key in (*self.faults, *self.values) if self.values.get(key, "x"))
            for name in names
        )


def form_view(given: Strict, faults: Iterable[Fault] = (), path: str = "") -> FormView:
    """The form of a struct that stands at `path` in the terms, each fault beside its input."""
    return given_view(values_of(given), faults, path)


def given_view(values: Mapping[str, str], faults: Iterable[Fault] = (), path: str = "") -> FormView:
    """The same for inputs as they came."""
    placed: dict[str, str] = {}
    for fault in faults:
        placed.setdefault(_place(fault.field.removeprefix(path).removeprefix("."), values), in_plain_words(fault))
    return FormView(values, placed)


def _place(name: str, values: Mapping[str, str]) -> str:
    """The input or group of inputs that a fault's path leads to; "" for the whole form."""
    if name.rpartition(".")[2] == "condition" and f"{name}.cel" in values:
        return f"{name}.cel" if values.get(f"{name}.how") == "cel" else name
    while name and name not in values:
        if re.search(r"\d$", name) is None and any(key.startswith(f"{name}.") for key in values):
            return name
        if "." not in name:
            return name
        name = name.rpartition(".")[0]
    return name


async def open_desk(viewer: Connected, program_id: str) -> Desk:
    """The desk of a program of the connection in view. Raises PageNotFound."""
    async with viewer.transaction() as tx:
        program = await stored.program_by_id(tx, viewer.organization_id, program_id)
        if program is None or program.connection_id != viewer.connection_id:
            raise PageNotFound("program")
        versions = await stored.terms_versions(tx, viewer.organization_id, program_id)
        draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
        terms = terms_to_edit(draft, versions[0] if versions else None)
        shown = [terms, *(version.terms for version in versions[:1])]
        names = await names_in(tx, viewer.organization_id, viewer.connection_id, shown)
    return Desk(program, versions, draft, terms, (*faults_of(terms), *_nobody(terms, names)), names)


def _nobody(terms: Terms, names: Mapping[str, str]) -> list[Fault]:
    """Faults of shares for participants whom nobody knows; publishing refuses them, too."""
    return [
        Fault(
            f"terms.rules.{place}.split.{number}.participant", "There is no such participant: choose one of the list."
        )
        for place, rule in enumerate(terms.rules)
        for number, share in enumerate(rule.split)
        if share.participant.startswith("ptc_") and share.participant not in names
    ]


def terms_to_edit(draft: TermsDraft | None, newest: StoredTerms | None) -> Terms:
    """What the editor shows: the draft, else the newest version, else the product's defaults."""
    if draft is not None:
        return draft.terms
    return Terms() if newest is None else newest.terms


async def change_draft(
    viewer: Connected, program_id: str, form: Mapping[str, str], change: Callable[[Terms], Terms]
) -> Terms:
    """Save the draft with what `change` makes of it, and return its terms.

    The form's `revision` is that of the draft which its author saw. Raises Refused: draft_changed, program_archived,
    unknown_program; what `change` raises.
    """
    async with viewer.transaction() as tx:
        await require_program_in_view(tx, viewer, program_id)
        draft = await drafts.draft_of(tx, viewer.organization_id, program_id)
        newest = await stored.latest_terms(tx, viewer.organization_id, program_id)
        revision = revision_of(form)
        made = change(terms_to_edit(draft, newest))
        await save_draft(
            tx,
            viewer.organization_id,
            program_id,
            terms=made,
            revision=revision,
            actor=viewer.actor,
            now=viewer.real_now,
        )
    return made


def revision_of(form: Mapping[str, str]) -> int | None:
    """The revision that a form was made from; None where it does not say."""
    text = form.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


async def require_program_in_view(tx: Connection, viewer: Connected, program_id: str) -> Program:
    """The program, where it belongs to the connection in view. Raises PageNotFound."""
    found = await stored.program_by_id(tx, viewer.organization_id, program_id)
    if found is None or found.connection_id != viewer.connection_id:
        raise PageNotFound("program")
    return found


def builder_page(
    request: Request,
    template: str,
    viewer: Connected,
    desk: Desk,
    *,
    section: str,
    form: FormView | None = None,
    refused: Refused | None = None,
    **context: object,
) -> Response:
    """A page of the builder. Its status is 422 where something was not saved."""
    return render(
        request,
        template,
        viewer,
        status_code=422 if refused else 200,
        desk=desk,
        program=desk.program,
        section=section,
        form=form or FormView(),
        refused=refused,
        builder_words=builder_words,
        **context,
    )


def go(path: str) -> Response:
    """Show another page after something was done."""
    return RedirectResponse(path, status_code=303)


NOT_READ = Refused("invalid_terms", "Nothing was saved yet: see the fields marked below.")


def numbered(items: tuple[RewardRule, ...] | tuple[QualifyingEvent, ...], number: int, what: str) -> int:
    """The place of the `number`-th of a list, from 1. Raises PageNotFound."""
    if not 1 <= number <= len(items):
        raise PageNotFound(what)
    return number - 1


def id_from(name: str, taken: Iterable[str], otherwise: str) -> str:
    """An id that nobody has yet, made of a name: `Big sale` becomes `big-sale`, then `big-sale-2`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or otherwise
    known, number, made = set(taken), 1, slug
    while made in known:
        number += 1
        made = f"{slug}-{number}"
    return made
