"""`onrecord rules …`: checks rules that a lawyer wrote, and scores them on dialogues whose verdicts are known."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cases.rules.rules import RuleSet

app = typer.Typer(no_args_is_help=True, help="Rules of procedure and conduct: check them, score them.")

Folder = Annotated[Path | None, typer.Argument(help="Folder with procedure/ and conduct/; none: configs/rules.")]
Rules = Annotated[
    Path | None, typer.Option("--rules", help="Folder with procedure/ and conduct/; none: configs/rules.")
]


@app.command()
def check(folder: Folder = None) -> None:
    """Name every mistake with file and line. Exit 0: none, 1: mistakes."""
    rules = _rules(folder)
    moments = f", {len(rules.moments)} moments" if rules.moments else ""
    typer.echo(f"{rules.label} {rules.version}: {len(rules.duties)} duties, {len(rules.conduct)} of conduct{moments}")


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="JSON Lines, a dialogue a line.", exists=True, dir_okay=False)],
    rules: Rules = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell each verdict too.")] = False,
) -> None:
    """Judge dialogues and print JSON: by duty and over all precision, recall and F1 of `observed`, and n."""
    from cases.rules import scoring

    rule_set = _rules(rules)
    dialogues = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            dialogues.append(scoring.read_dialogue(line))
        except scoring.DialogueRefused as error:
            typer.echo(f"{file}:{number}: no dialogue: {error}", err=True)
            raise typer.Exit(1) from error
    told = scoring.run(rule_set, dialogues)
    scores = scoring.score(told)
    report: dict[str, object] = {
        "version": rule_set.version,
        "dialogues": len(dialogues),
        "duties": {duty: row for duty, row in scores.items() if duty != "all"},
        "all": scores["all"],
    }
    if verbose:
        report["verdicts"] = [
            {
                "id": each.dialogue_id,
                "duty": each.duty,
                "expected": each.expected.value,
                "verdict": each.judged.verdict.value,
                "confidence": each.judged.confidence,
                "coverage": each.judged.coverage,
                "why": each.judged.why,
                "quotes": list(each.judged.quotes),
                "notes": list(each.judged.notes),
            }
            for each in told
        ]
    typer.echo(json.dumps(report, ensure_ascii=False, indent=2))


def _rules(folder: Path | None) -> "RuleSet":
    """Mistakes go to stderr, a line each, and end the program with 1."""
    from cases.rules.ruleset import FOLDER, load
    from pipeline.errors import RulesInvalid

    try:
        return load(folder or FOLDER)
    except RulesInvalid as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
