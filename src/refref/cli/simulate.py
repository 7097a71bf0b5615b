"""refref simulate: stories of customers, played in a sandbox of their own, with what each sale earns and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import AsJson, Installation, Organization, fail, one_of, run, show, table

if TYPE_CHECKING:
    from refref.core.terms import Terms
    from refref.simulator.result import Played


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("simulate")(simulate)


def simulate(
    stories: Annotated[
        list[str] | None, typer.Argument(metavar="FILE|NAME", help="Story files, or names of the library.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every story of the library.")] = False,
    program: Annotated[
        str | None, typer.Option("--program", help="Play under the terms of this program, in place of the story's.")
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="The program's draft, in place of its newest terms.")] = False,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="Deliver Stripe's events in disorder, twice.")] = False,
    api_version: Annotated[str | None, typer.Option(help="Deliver them in this API version of Stripe.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a story instead.")] = False,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Play stories and explain every reward; without any: list the library. Ends with 1 if something is not as
    expected. Needs no database, unless a program is named."""
    from refref.simulator.shelf import library

    if schema:
        _print_schema()
        return
    if draft and program is None:
        fail("--draft needs --program.", code=2)
    if everything == bool(stories):
        if everything:
            fail("give stories or --all, not both.", code=2)
        rows = [(one.name, one.title, one.about) for one in library()]
        shown = [{"name": name, "title": title, "about": about} for name, title, about in rows]
        show(
            shown,
            f"{table(rows)}\n\nrefref simulate NAME plays one, refref simulate FILE one of yours.",
            as_json=as_json,
        )
        return
    texts = [(one.name, one.text) for one in library()] if everything else [_text(name) for name in stories or ()]
    chosen = None if program is None else _terms(program, draft, organization)
    played = [
        (name, _play(name, text, chosen, shuffled=shuffled, api_version=api_version, organization=organization))
        for name, text in texts
    ]
    _show(played, is_short=everything, as_json=as_json)
    if not all(one.is_as_expected for _, one in played):
        raise typer.Exit(1)


def _text(name: str) -> tuple[str, str]:
    """A story's name for people and its text: a file, else one of the library."""
    from refref.simulator.shelf import library, story_named

    path = Path(name)
    if path.is_file():
        try:
            return name, path.read_text(encoding="utf-8")
        except OSError as error:
            fail(f"{path}: {error.strerror or error}.")
        except UnicodeDecodeError:
            fail(f"{path}: this is not UTF-8.")
    found = story_named(name)
    if found is None:
        fail(f"there is no file {name}, and no such story in the library: {', '.join(one.name for one in library())}.")
    return name, found.text


def _play(
    name: str,
    text: str,
    chosen: tuple[Terms, str] | None,
    *,
    shuffled: bool,
    api_version: str | None,
    organization: str | None,
) -> Played:
    from refref.core.placed_file import DocumentRefused
    from refref.simulator.mode import API_VERSIONS, Mode
    from refref.simulator.reading import fault_lines, read_story
    from refref.simulator.running import play_story

    mode = Mode(one_of(api_version, API_VERSIONS, "--api-version") or API_VERSIONS[-1], shuffled, 2 if shuffled else 1)
    try:
        told = read_story(text)
        if chosen is None and told.story.program_id:
            chosen = _terms(told.story.program_id, False, organization)
        if chosen is None:
            return play_story(told, mode=mode)
        return play_story(told, terms=chosen[0], terms_from=chosen[1], mode=mode)
    except DocumentRefused as refused:
        print("\n".join(fault_lines(refused.faults, name)), file=sys.stderr)
        raise typer.Exit(1) from refused


def _terms(program_id: str, draft: bool, organization: str | None) -> tuple[Terms, str]:
    """The terms of a program, and whose they are in words."""
    from refref.flows.terms_to_play import terms_to_play

    async def work(here: Installation) -> tuple[Terms, str]:
        async with here.tenant(organization) as (tx, organization_id):
            return await terms_to_play(tx, organization_id, program_id, is_draft=draft)

    return run(work)


def _show(played: list[tuple[str, Played]], *, is_short: bool, as_json: bool) -> None:
    from refref.simulator.text import report, verdict

    whole = [{"name": name, "is_as_expected": one.is_as_expected, "played": one} for name, one in played]
    lines = [verdict(one, name) if is_short else report(one, name) for name, one in played]
    show(whole, "\n".join(lines), as_json=as_json)


def _print_schema() -> None:
    import msgspec

    from refref.simulator.story import story_schema

    print(msgspec.json.format(msgspec.json.encode(story_schema()), indent=2).decode())
