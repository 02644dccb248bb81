"""What ``lprc verify --prove`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lprc.cli import console
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.core.proof.rewrites import Proof


def print_proof(proof: Proof) -> None:
    """A row for each rewrite, how many are proved at which sizes, and what was not looked at."""
    rows = [
        (judged.pass_text, judged.rewrite.node, judged.rewrite.note, str(judged.verdict))
        for judged in proof.judged
    ]
    if rows:
        console.stdout().print(console.table(["pass", "node", "rewrite", "verdict"], rows))
    sizes = ", ".join(
        f"{name} {'×'.join(map(str, shape)) or 'one number'}" for name, shape in proof.sizes.items()
    )
    say(f"{proof.count('proved')} of {len(rows)} rewrites proved over the reals, at {sizes}")
    if proof.others:
        others = ", ".join(f"{count} of {text}" for text, count in proof.others.items())
        say(f"not looked at: {others}")
