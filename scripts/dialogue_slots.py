"""What stands in the braces of a wording, the same all through one dialogue: names, goods, laws, papers. Plain."""

import random
from collections.abc import Mapping
from typing import Final

from scripts.dialogue_words import Sections

_PAPERS: Final[Mapping[str, tuple[str, str, str]]] = {
    "inspection": (
        "证据清单 物品清单 提取证据清单",
        "现场笔录 现场检查笔录 笔录",
        "进行监督检查 进行现场检查 开展执法检查",
    ),
    "questioning": ("证据清单", "询问笔录 笔录", "进行询问调查 了解有关情况"),
    "sampling": ("抽样单 样品清单 抽样物品清单", "现场笔录 抽样情况记录 告知书的回执", "进行抽样检验 开展监督抽检"),
    "seizure": ("扣押清单 查封扣押财物清单 财物清单", "现场笔录 扣押决定书的回证 笔录", "采取扣押措施 实施扣押"),
    "preservation": (
        "先行登记保存物品清单 登记保存清单 物品清单",
        "现场笔录 先行登记保存通知书 笔录",
        "采取先行登记保存措施 对有关物品登记保存",
    ),
    "service_by_leaving": ("文书清单", "送达回证 回证", "送达文书"),
}
"""By kind of step: names of the list, of the paper that is signed, and of what is done here."""


def slots(words: Sections, scenario: str, kind: str, chance: random.Random) -> dict[str, str]:
    """A value for each name that may stand in braces."""
    first, second, third = chance.sample(words["slots.surname"], 3)
    given_1, given_2 = chance.sample(words["slots.given"], 2)
    law, article = _parts(chance.choice(words[f"scenario.{scenario}.law"]))
    (goods_1, many_1), (goods_2, many_2) = map(_parts, chance.sample(words[f"scenario.{scenario}.goods"], 2))
    lists, papers, acts = _PAPERS[kind]
    return {
        "bureau": chance.choice(words["slots.bureau"]),
        "s1": first, "s2": second, "s3": third, "c2": chance.choice("小老") + second,
        "given": given_1, "given2": given_2,
        "clock": chance.choice(words["slots.clock"]),
        "place": chance.choice(words["slots.place"]), "certno": _number(chance), "certno2": _number(chance),
        "law": law, "lawa": article, "g1": goods_1, "n1": many_1, "g2": goods_2, "n2": many_2,
        "listdoc": chance.choice(lists.split()), "recdoc": chance.choice(papers.split()),
        "act": chance.choice(acts.split()),
    }  # fmt: skip


def _parts(line: str) -> tuple[str, str]:
    one, _, other = line.partition(" | ")
    return one, other


def _number(chance: random.Random) -> str:
    """The number of a certificate, as figures or as it is read out."""
    figures = f"{chance.randrange(10**7, 10**8)}"
    return figures if chance.random() < 0.5 else "".join("零一二三四五六七八九"[int(figure)] for figure in figures)
