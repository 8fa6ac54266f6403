"""Units (机构) as a tree: what lies below a unit is that unit's too. Names are what devices and cases carry."""

from cases.access.file import AccessFile
from pipeline.errors import StateConflict, ThingUnknown

_DEEPEST = 20


class Units:
    """The units of the access file. One that nobody entered is a unit by itself."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file
        self._below: dict[str, frozenset[str]] = {}
        self._version = (-1, -1)

    def all(self) -> list[tuple[str, str | None]]:
        """Name and the unit above, by name."""
        return [(row[0], row[1]) for row in self._file.rows("SELECT name, parent FROM unit ORDER BY name")]

    def put(self, name: str, parent: str | None, by: str = "console") -> None:
        """Enter a unit, or hang it elsewhere. Raises: ThingUnknown: no such parent. StateConflict: a ring."""
        with self._file.writing():
            above = dict(self.all())
            if parent is not None and parent not in above:
                raise ThingUnknown(f"no such unit {parent!r}")
            at, steps = parent, 0
            while at is not None:
                steps += 1
                if at == name or steps > _DEEPEST:
                    raise StateConflict("a unit cannot lie below itself, or more than 20 deep")
                at = above[at]
            self._file.write(
                "INSERT INTO unit VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET parent = excluded.parent", name, parent
            )
            body = {"name": name, "parent": parent}
            self._file.tell("UnitPlaced", by, (name, parent or "", self._file.clock.utc_s()), body)

    def below(self, unit: str) -> frozenset[str]:
        """The unit and all below it. Cheap: the tree is read again only after somebody wrote the file."""
        version = self._file.version
        if version != self._version:
            self._below, self._version = {}, version
        found = self._below.get(unit)
        if found is None:
            children: dict[str | None, list[str]] = {}
            for name, parent in self.all():
                children.setdefault(parent, []).append(name)
            reached, ahead = {unit}, [unit]
            while ahead:
                new = [name for name in children.get(ahead.pop(), ()) if name not in reached]
                reached.update(new)
                ahead += new
            found = self._below[unit] = frozenset(reached)
        return found

    def covers(self, unit: str, other: str) -> bool:
        """Whether `other` is `unit` or lies below it; the empty name is the whole bureau."""
        return not unit or other in self.below(unit)
