"""What stands on the made cards, papers and posters of cards.py. Numbers and names are drawn, their forms are ours."""

from typing import Final

import numpy as np

TITLES: Final = ("行政执法证", "行政执法证", "执法证", "行政执法证件", "中华人民共和国行政执法证")
OFFICES: Final = ("东城区市场监督管理局", "江南县市场监督管理局", "滨河市市场监督管理局", "市场监督管理综合执法支队")
FIELDS_OF: Final = {
    "营业执照": ("统一社会信用代码", "名称", "经营者", "注册日期", "登记机关"),
    "食品经营许可证": ("许可证编号", "经营者名称", "法定代表人", "发证机关", "投诉举报电话"),
    "食品生产许可证": ("许可证编号", "名称", "法定代表人", "发证机关"),
    "药品经营许可证": ("许可证号", "名称", "负责人", "发证机关"),
    "烟草专卖零售许可证": ("许可证号", "名称", "负责人", "发证机关"),
}
BADGES: Final = (
    ("居民身份证", ("姓名", "公民身份号码")),
    ("健康证明", ("姓名", "编号", "体检机构")),
    ("工作证", ("姓名", "工号", "部门")),
    ("机动车驾驶证", ("姓名", "证号", "准驾车型")),
    ("会员卡", ("卡号", "姓名")),
    ("食品安全管理员证", ("姓名", "证书编号")),
    ("从业资格证", ("姓名", "证号", "发证机关")),
    ("健身中心", ("编号", "姓名")),
)
PAPERS: Final = (
    (
        "现场检查笔录",
        (
            "检查时间：2026年3月2日10时15分至11时05分",
            "检查人员：{name} 执法证号：{number}",
            "检查人员：{name} 执法证号：{number}",
            "记录人：{name}",
            "告知事项：我们是{office}的",
            "行政执法人员，现出示执法证件，",
            "你是否看清楚？答：看清楚了。",
            "现场情况：货架上有过期食品三袋。",
        ),
    ),
    (
        "询问笔录",
        (
            "询问人：{name}",
            "执法证号：{number}",
            "被询问人：{name}",
            "身份证号：{number}",
            "问：我们是{office}执法人员。",
        ),
    ),
    (
        "责令改正通知书",
        ("{office}", "编号：{number}", "当事人：{name}", "执法人员：{name} {name}", "联系电话：{number}"),
    ),
    ("行政处罚决定书", ("市监罚字第{number}号", "当事人：{name}", "{office}", "依据《行政处罚法》第五十二条")),
    ("送达回证", ("送达文书名称：检查通知", "受送达人：{name}", "执法人员：{name}", "证号：{number}")),
    ("房屋租赁合同", ("甲方：{name}", "乙方：{name}", "身份证号：{number}", "租金每月三千元整")),
)
POSTERS: Final = (
    ("食品安全监督公示栏", "市场监督管理局", "监管人员：王芳", "投诉举报电话：12315"),
    ("行政执法公示", "执法人员检查时应出示执法证", "规范公正文明执法", "市场监督管理局"),
    ("配合执法人员检查", "依法经营 诚信经营", "12315"),
    ("请主动查验执法证件", "无执法证可以拒绝检查", "监督电话：12345"),
    ("今日特价", "鸡蛋 4.98元", "会员再享九折"),
    ("消防安全责任书", "严禁烟火", "责任人：张伟"),
    ("执法为民", "服务群众", "市场监管局宣"),
    ("证件办理", "身份证 驾驶证 行驶证", "快照立等可取"),
)
SIGNS: Final = ("惠民超市", "休闲食品", "酒水饮料", "收银台", "今日特价", "粮油调味", "欢迎光临", "日用百货")
GOODS: Final = (
    "牛奶", "酱油", "方便面", "矿泉水", "饼干", "香醋", "大米", "茶叶", "花生油", "洗衣液", "火腿肠", "纸巾"
)  # fmt: skip

_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚文辉鑫斌宇浩凯"


def name_of(random: np.random.Generator) -> str:
    """Two or three signs."""
    given = "".join(_GIVEN[int(random.integers(len(_GIVEN)))] for _ in range(int(random.integers(1, 3))))
    return _SURNAMES[int(random.integers(len(_SURNAMES)))] + given


def number_of(random: np.random.Generator) -> str:
    """8 to 14 digits, some with letters before them."""
    digits = "".join(str(digit) for digit in random.integers(0, 10, int(random.integers(8, 15))))
    return digits if random.random() < 0.7 else f"A{digits[1:]}"


def price_of(random: np.random.Generator) -> str:
    return f"{random.integers(1, 60)}.{random.integers(0, 10)}0元"
