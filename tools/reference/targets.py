"""A page for each target: its pipeline, its options, and the rules that a lowered graph obeys."""

from __future__ import annotations

from lprc.core.builtin import TARGET_ALIASES
from lprc.core.options import option_infos
from lprc.core.targets.target import Target, target, target_names
from reference.markdown import code, fenced, plain, table


def pages() -> dict[str, str]:
    """The pages by their paths."""
    targets = [target(name) for name in target_names()]
    rows = [
        [
            f"[`{each.name}`]({each.name}.md)",
            _aliases(each),
            each.precision,
            plain(each.description),
        ]
        for each in targets
    ]
    documents = {f"reference/targets/{each.name}.md": _page(each) for each in targets}
    documents["reference/targets/index.md"] = (
        "# Targets\n\nA target is data: a pipeline, and the [rules](../../concepts.md#legality) "
        "that the lowered graph must obey.\n\n"
        + table(["target", "alias", "precision", "description"], rows)
    )
    return documents


def _aliases(each: Target) -> str:
    return ", ".join(code(alias) for alias, name in TARGET_ALIASES.items() if name == each.name)


def _page(each: Target) -> str:
    facts = [
        ["alias", _aliases(each)],
        ["precision", each.precision],
        ["runtime", code(each.runtime)],
        ["float32 counterpart (`--guard`)", code(each.reference)],
        [
            "outputs may differ from the lowered graph's by",
            f"{each.tolerance:g} of their magnitude",
        ],
        ["install", code(each.install)],
        ["kit (`--emit kit`)", "yes" if each.kit else "no"],
    ]
    options = [
        [code(info.name), code(info.type), code(info.default or ""), plain(info.help)]
        for info in option_infos(each.option_class())
    ]
    listed = table(["option (`-O`)", "type", "default", "what it does"], options)
    rules = [
        [code(rule.rule), _parameters(rule.parameters), plain(rule.message), plain(rule.remedy)]
        for rule in each.rules
    ]
    return (
        f"# `{each.name}`\n\n{plain(each.description)}\n\n{table(['', ''], facts)}\n"
        f"## Options\n\n{listed if options else 'None.'}\n\n"
        f"## Rules\n\n{table(['rule', 'limits', 'what is wrong', 'what to do'], rules)}\n"
        f"## Pipeline\n\n{fenced('text', each.pipeline.replace(',', ', '))}"
    )


def _parameters(parameters: tuple[tuple[str, object], ...]) -> str:
    texts = []
    for key, value in parameters:
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        texts.append(f"{key}: {shown or 'none'}")
    return "; ".join(texts)
