"""docs/permissions.md, made from configs/rules/permissions.yaml and the routes of the program.

python -m scripts.permissions_doc [--write]; without it, exit 1 where the page is not today's.
"""

import sys
from pathlib import Path

from fastapi.routing import APIRoute, iter_route_contexts

from api.app import DOORS_BELOW, ROUTERS
from api.permissions import BY_STREAM_KEY, PUBLIC, permission_of
from cases.access import ROLES
from cases.rights import Reach, table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"
_MARKS = {
    Reach.BUREAU: "bureau 全局",
    Reach.UNIT: "unit 本机构及下级",
    Reach.OWN: "own 本人",
    Reach.ASSIGNED: "assigned 指派",
    Reach.APPROVED: "approved 经审批",
}
_HEAD = """# Who may do what (权限表)

Made by `scripts/permissions_doc.py` from `configs/rules/permissions.yaml`, which the program itself reads; do not edit
it here. A route that names no permission keeps the program from starting.

How far a permission reaches:

| reach | means |
|---|---|
| bureau 全局 | everything |
| unit 本机构及下级 | what belongs to the person's unit or to one below it; a person without a unit reaches the bureau |
| own 本人 | the device the person carries; cases the person works on, and what is recorded for them |
| assigned 指派 | the devices that were assigned to the person |
| approved 经审批 | only what an approval in force names, to the second |

What is out of reach answers 404, as if it did not exist; what the role may not do at all answers 403; nobody: 401. An
officer under complaint is locked out of a recording that was withheld from him, whatever else he reaches.
"""


def page() -> str:
    lines = [_HEAD, "## Permissions", ""]
    for each in table().values():
        lines += [f"### `{each.name}`", "", f"{each.en}. {each.zh}。", "", "| role | reach |", "|---|---|"]
        lines += [f"| {role} | {_MARKS[each.roles[role]]} |" for role in ROLES if role in each.roles]
        lines += [""]
    lines += ["## Routes", "", "| route | permission |", "|---|---|"]
    rows = []
    for router in ROUTERS:
        for context in iter_route_contexts(router.routes):
            route = context.original_route
            if isinstance(route, APIRoute):
                tags = {PUBLIC, BY_STREAM_KEY}.intersection(context.tags or [])
                said = permission_of(context.dependant.dependencies)
                what = f"`{said}`" if said else ", ".join(sorted(map(str, tags)))
                rows += [f"| `{method} {context.path}` | {what} |" for method in sorted(route.methods)]
    lines += sorted(rows, key=lambda row: row.split()[2])
    lines += [f"| {door.route} | `{door.permission}` |" for each in DOORS_BELOW for door in each.opens]
    lines += [""]
    return "\n".join(lines)


def main() -> int:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    return int(PAGE.read_text(encoding="utf-8") != page())


if __name__ == "__main__":
    sys.exit(main())
