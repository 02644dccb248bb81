"""``lprc cache``: what earlier compiles left behind."""

from __future__ import annotations

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option
from lprc.cli.say import say


@click.group("cache")
def command() -> None:
    """Show, shrink or empty the cache.

    It lies in $LPRC_CACHE_DIR (by default in the user's cache folder) and holds at most
    $LPRC_CACHE_SIZE (1GiB); $LPRC_CACHE_REMOTE names a bucket behind it. LPRC_NO_CACHE=1 and
    --no-cache switch it off.
    """


@command.command("info")
@json_option
@debug_option
def info(as_json: bool) -> None:
    """Say where the cache is and what is in it."""
    from lprc.compiler.cache.location import open_store, store_in_use

    store = open_store()
    usage = store.usage()
    used = store_in_use() is not None
    if as_json:
        document = {
            "folder": str(store.folder),
            "used": used,
            "bytes": usage.size_bytes,
            "limit": store.limit,
            "entries": usage.entries,
            "remote": None if store.remote is None else store.remote.url,
        }
        console.print_json(document)
        return
    say(f"{store.folder}{'' if used else ' (switched off)'}")
    limit = console.size_text(store.limit)
    if store.remote is not None:
        say(f"behind it {store.remote.url}")
    say(f"{console.size_text(usage.size_bytes)} of at most {limit}")
    rows = [(_KINDS.get(kind, kind), str(count)) for kind, count in usage.entries.items()]
    if rows:
        console.stdout().print(console.table(["what", ">entries"], rows))


_KINDS = {
    "artefact": "artefacts",
    "emitted": "translations by an SDK",
    "model": "graphs between passes",
    "pass": "passes",
    "sources": "digests of lprc's sources",
    "weights": "names of weight files",
}


@command.command("prune")
@click.option("--size", help="Shrink it to this, for instance 200MB.  [default: its limit]")
@json_option
@debug_option
def prune(size: str | None, as_json: bool) -> None:
    """Drop what was not used for longest until the cache is small enough."""
    from lprc.compiler.cache.location import open_store, parse_size

    store = open_store()
    limit = store.limit if size is None else parse_size(size, "--size")
    _dropped(store.trim(limit), as_json)


@command.command("clear")
@json_option
@debug_option
def clear(as_json: bool) -> None:
    """Drop everything."""
    from lprc.compiler.cache.location import open_store

    _dropped(open_store().clear(), as_json)


def _dropped(size: int, as_json: bool) -> None:
    if as_json:
        console.print_json({"dropped_bytes": size})
    else:
        say(f"dropped {console.size_text(size)}")
