"""Reads a set of rules from files that a lawyer writes; one with mistakes is refused whole, each told with its line."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import yaml

from cases.rules.familiar import pairs_of
from cases.rules.groups import Groups
from cases.rules.laws import FOLDER as LAWS
from cases.rules.laws import Laws, cited, load_laws
from cases.rules.nodes import File
from cases.rules.notation import WayRefused, read_way
from cases.rules.rules import CONDUCT, LANGUAGE, SEVERITIES, SOUNDS, ConductRule, Duty, RuleSet
from cases.rules.stretch import Link, Slot, Way
from pipeline.errors import RulesInvalid

__all__ = ["FOLDER", "ConductRule", "Duty", "RuleSet", "load"]

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "configs" / "rules"
DUTIES: Final = (
    "identity_stated", "certificate_shown", "two_officers", "recording_notified", "grounds_stated", "recusal_informed",
    "statement_and_defence_informed", "duty_to_answer_truthfully", "hearing_right_informed", "remedies_informed",
    "evidence_list_read", "signature_requested", "closing_stated",
)  # fmt: skip

_WORD_LISTS: Final = ("negations", "but_not", "turns", "resumes")
_SET_FIELDS = ("label", "groups", *_WORD_LISTS, "duties", "moments")
_CONDUCT_FILE_FIELDS = ("groups", "conduct")
_DUTY_FIELDS = (
    "duty", "zh", "en", "law", "severity", "steps", "is_required", "within_s", "before", "after", "heard_share",
    "longest_unheard_s", "near_s", "unknown", "ways", "hints", "answers", "never", "seen",
)  # fmt: skip
_DUTY_USES: Final = {"ways": "way", "hints": "hint", "answers": "answer", "never": "never", "seen": "seen"}
_MOMENT_FIELDS = ("moment", "zh", "ways", "never")
_CONDUCT_FIELDS = (
    "rule", "finding", "zh", "en", "law", "severity", "speaker", "unknown", "ways", "with_sound", "never", "sounds",
    "within_s", "again_after_s",
)  # fmt: skip
_UNKNOWN = ("accept", "refuse")
_SPEAKERS = ("officer", "other", "any")


def load(folder: Path = FOLDER, laws: Path = LAWS) -> RuleSet:
    """`procedure/*.yaml` and `conduct/*.yaml` of the folder, with the step kinds of its `steps.yaml`.

    Raises: RulesInvalid: every mistake of all files.
    """
    return _Reading(folder, load_laws(laws)).rule_set()


class _Reading:
    """One reading of a folder: what was found so far, and the files that hold the mistakes."""

    def __init__(self, folder: Path, laws: Laws) -> None:
        self._folder = folder
        self._laws = laws
        self._files: list[File] = []
        self._content: dict[str, object] = {}
        self._groups = Groups()
        self._ids: dict[str, str] = {}
        self._label = ""
        self._duties: list[Duty] = []
        self._conduct: list[ConductRule] = []
        self._moments: dict[str, str] = {}
        self._ways: dict[str, list[Way]] = {"procedure": [], "conduct": []}
        self._relations: list[tuple[str, str, str, File, yaml.Node]] = []
        self._words: dict[str, Slot] = {}

    def rule_set(self) -> RuleSet:
        steps = self._step_kinds()
        procedure = self._roots("procedure", _SET_FIELDS)
        conduct = self._roots("conduct", _CONDUCT_FILE_FIELDS)
        self._refuse()  # what a file lacks because another cannot be read is no mistake of it
        for file, fields in (*procedure, *conduct):
            self._groups.collect(file, fields)
        version = self._version()
        for file, fields in procedure:
            self._label = file.text(fields, "label", fields["label"]) if "label" in fields else self._label
            for name in _WORD_LISTS:
                if name in fields:
                    self._words[name] = self._groups.slot(file, file.items(fields[name], name), fields[name], ())
            self._each(file, fields, "duties", lambda f, node: self._duty(f, node, steps, version))
            self._each(file, fields, "moments", self._moment)
        for file, fields in conduct:
            self._each(file, fields, "conduct", lambda f, node: self._conduct_rule(f, node, version))
        self._check_relations()
        self._groups.check()
        self._refuse()
        return RuleSet(
            version=version,
            label=self._label,
            duties=tuple(self._duties),
            conduct=tuple(self._conduct),
            moments=self._moments,
            procedure_ways=tuple(self._ways["procedure"]),
            conduct_ways=tuple(self._ways["conduct"]),
            negation=self._words.get("negations"),
            but_not=self._words.get("but_not"),
            turns=self._words.get("turns"),
            resumes=self._words.get("resumes"),
            familiar=pairs_of([*self._laws.texts, *self._groups.phrases]),
        )

    def _refuse(self) -> None:
        if mistakes := [mistake for file in self._files for mistake in file.mistakes]:
            raise RulesInvalid(sorted(mistakes))

    def _file(self, path: Path) -> File:
        file = File(path, str(path))
        self._files.append(file)
        return file

    def _roots(self, name: str, known: tuple[str, ...]) -> list[tuple[File, Mapping[str, yaml.Node]]]:
        found = []
        paths = sorted((self._folder / name).glob("*.yaml"))
        if not paths:
            self._file(self._folder / name).tell(0, "no rules in it", "put at least one file *.yaml there")
        for path in paths:
            file = self._file(path)
            root = file.root()
            if root is not None:
                self._content[f"{name}/{path.name}"] = _plain_content(root)
                found.append((file, file.fields(root, known)))
        return found

    def _step_kinds(self) -> frozenset[str]:
        file = self._file(self._folder / "steps.yaml")
        root = file.root()
        return frozenset(_kinds(root)) if root is not None else frozenset()

    def _version(self) -> str:
        content = json.dumps([LANGUAGE, self._content], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    def _add_ways(
        self, file: File, fields: Mapping[str, yaml.Node], owner: str, used: Mapping[str, str], where: str
    ) -> None:  # fmt: skip
        for name, use in used.items():
            for text, node in file.texts(fields, name):
                try:
                    written = read_way(text)
                except WayRefused as error:
                    message, _, remedy = str(error).partition("; ")
                    file.tell(node, f"{name}: {message}", remedy or "see docs/rules.md")
                    continue
                chains = tuple(
                    tuple(
                        Link(self._groups.group(p.group, file, node) if p.group else Slot(frozenset(p.phrases)), p.gap)
                        for p in chain
                    )
                    for chain in written.chains
                )
                self._ways[where].append(Way(owner, use, chains, text))

    def _each(
        self, file: File, fields: Mapping[str, yaml.Node], name: str, read: Callable[[File, yaml.Node], None]
    ) -> None:  # fmt: skip
        node = fields.get(name)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode):
            file.tell(node, f"{name}: a list is wanted", "begin each with `- `")
            return
        for each in node.value:
            read(file, each)

    def _is_new(self, file: File, rule_id: str, at: yaml.Node) -> bool:
        here = f"{file.path.name}:{at.start_mark.line + 1}"
        if rule_id in self._ids:
            file.tell(at, f"two rules of one id: {rule_id}, also in {self._ids[rule_id]}", "keep one, or rename it")
            return False
        self._ids[rule_id] = here
        return True

    def _article(
        self, file: File, fields: Mapping[str, yaml.Node], at: yaml.Node, is_optional: bool = False
    ) -> tuple[str, int, str]:  # fmt: skip
        if is_optional and "law" not in fields:
            return "", 0, ""
        text = file.text(fields, "law", at)
        node = fields.get("law", at)
        if not text:
            return "", 0, ""
        reference = cited(text)
        if reference is None:
            file.tell(node, f"law: {text} is no citation", "write it as 行政处罚法 第五十五条")
            return "", 0, ""
        name, number = reference
        article = self._laws.text(name, number)
        if article is None:
            count = self._laws.articles_of(name)
            what = f"{name} has {count} articles, no {number}" if count else f"no law {name}"
            remedy = (
                "mend the number" if count else f"use one of {', '.join(self._laws.names)}, or add it to configs/laws"
            )
            file.tell(node, f"the article does not exist: {what}", remedy)
        return name, number, article or ""

    def _duty(self, file: File, node: yaml.Node, steps: frozenset[str], version: str) -> None:
        fields = file.fields(node, _DUTY_FIELDS)
        name = file.choice(fields, "duty", node, DUTIES, "")
        if not name or not self._is_new(file, name, fields["duty"]):
            return
        law, article, text = self._article(file, fields, node)
        kinds = []
        for kind, at in file.texts(fields, "steps"):
            if kind not in steps:
                file.tell(at, f"unknown kind of step {kind}", "use one of configs/rules/steps.yaml")
            kinds.append(kind)
        if not kinds:
            file.tell(node, "steps is missing", "write the kinds of step in which the duty holds")
        if "ways" not in fields:
            file.tell(node, "ways is missing", "write how it is said")
        for relation in ("before", "after"):
            for other, at in file.texts(fields, relation):
                self._relations.append((relation, name, other, file, at))
        self._add_ways(file, fields, name, _DUTY_USES, "procedure")
        within_s = file.number(fields, "within_s", 1, 86_400, None)
        self._duties.append(
            Duty(
                duty=name,
                zh=file.text(fields, "zh", node),
                en=file.text(fields, "en", node),
                law=law,
                article=article,
                text=text,
                severity=file.choice(fields, "severity", node, SEVERITIES, ""),
                step_kinds=tuple(kinds),
                is_required=file.flag(fields, "is_required", True),
                deadline_s=within_s,
                before=tuple(other for other, _ in file.texts(fields, "before")),
                after=tuple(other for other, _ in file.texts(fields, "after")),
                heard_share=file.number(fields, "heard_share", 0.5, 1, 0.9) or 0.9,
                longest_unheard_s=file.number(fields, "longest_unheard_s", 0, 3_600, 5) or 0.0,
                near_s=file.number(fields, "near_s", 1, 60, 10) or 10,
                accepts_unknown=file.choice(fields, "unknown", node, _UNKNOWN, "accept") == "accept",
                is_read="seen" in fields,
                rule=f"procedure.{name}@{version}",
            )
        )

    def _moment(self, file: File, node: yaml.Node) -> None:
        fields = file.fields(node, _MOMENT_FIELDS)
        name = file.text(fields, "moment", node)
        if not name or not self._is_new(file, name, fields["moment"]):
            return
        if "ways" not in fields:
            file.tell(node, "ways is missing", "write how it is said")
        self._moments[name] = file.text(fields, "zh", node)
        self._add_ways(file, fields, name, {"ways": "moment", "never": "never"}, "procedure")

    def _conduct_rule(self, file: File, node: yaml.Node, version: str) -> None:
        fields = file.fields(node, _CONDUCT_FIELDS)
        name = file.text(fields, "rule", node)
        if not name or not self._is_new(file, name, fields["rule"]):
            return
        sounds = tuple(sound for sound, _ in file.texts(fields, "sounds"))
        for sound, at in file.texts(fields, "sounds"):
            if sound not in SOUNDS:
                file.tell(at, f"unknown sound {sound}", f"use one of {', '.join(SOUNDS)}")
        if "ways" not in fields and "with_sound" not in fields:
            file.tell(node, "ways is missing", "write how it is said")
        if ("with_sound" in fields) != bool(sounds):
            file.tell(node, "with_sound and sounds belong together", "write both or neither")
        law, article, _ = self._article(file, fields, node, is_optional=True)
        self._add_ways(file, fields, name, {"ways": "way", "with_sound": "sound", "never": "never"}, "conduct")
        self._conduct.append(
            ConductRule(
                rule_id=name,
                finding=file.choice(fields, "finding", node, CONDUCT, ""),
                zh=file.text(fields, "zh", node),
                en=file.text(fields, "en", node),
                law=law,
                article=article or None,
                severity=file.choice(fields, "severity", node, SEVERITIES, ""),
                speaker=file.choice(fields, "speaker", node, _SPEAKERS, ""),
                accepts_unknown=file.choice(fields, "unknown", node, _UNKNOWN, "accept") == "accept",
                sounds=sounds,
                within_s=file.number(fields, "within_s", 0, 60, 5) or 0.0,
                again_after_s=file.number(fields, "again_after_s", 0, 3_600, 10) or 0.0,
                rule=f"conduct.{name}@{version}",
            )
        )

    def _check_relations(self) -> None:
        """Each names a duty or a moment; none comes before itself by way of others."""
        after: dict[str, set[str]] = {}
        for relation, name, other, file, node in self._relations:
            if other not in self._moments and other not in {duty.duty for duty in self._duties}:
                file.tell(node, f"{relation}: no duty or moment {other}", "mend its name, or write it under moments")
                continue
            first, second = (name, other) if relation == "before" else (other, name)
            if circle := _path(after, second, first):
                shown = " -> ".join((first, *circle))
                file.tell(node, f"a cycle: {shown}", "take one of the relations out")
                continue
            after.setdefault(first, set()).add(second)


def _path(after: Mapping[str, set[str]], start: str, goal: str) -> tuple[str, ...]:
    """From start to goal along the relations; empty: there is none."""
    paths: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while paths:
        path = paths.pop()
        if path[-1] == goal:
            return path
        for following in sorted(after.get(path[-1], set()) - seen):
            seen.add(following)
            paths.append((*path, following))
    return ()


def _kinds(node: yaml.Node) -> Iterator[str]:
    """Every value of a field `kind`, however deep."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "kind" and isinstance(value, yaml.ScalarNode):
                yield str(value.value)
            yield from _kinds(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _kinds(each)


def _plain_content(node: yaml.Node) -> object:
    """Without comments, lines and order of fields."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain_content(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain_content(each) for each in node.value]
    return str(node.value)
