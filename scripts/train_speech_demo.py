#!/usr/bin/env python3
"""Train a tiny Mandarin Whisper-architecture model on synthetic voices (CPU only).

The result is a *demonstration and test* model: it lets software that is built on
faster-whisper run its real code path with real words, without any published
weights.  It understands a narrow domain (market-supervision enforcement talk as
recorded by body-worn cameras) spoken by espeak-ng voices, and nothing else.

Stages (each reads what the one before left under ``--work``):

    python scripts/train_speech_demo.py text --work DIR --laws LAW_DIR  # sentences -> corpus.json
    python scripts/train_speech_demo.py audio --work DIR  # espeak-ng -> audio.npy, align.json
    python scripts/train_speech_demo.py train --work DIR --minutes 70  # -> ckpt.pt (resumable)
    python scripts/train_speech_demo.py export --work DIR --out MODEL_DIR  # -> CTranslate2 int8 model
    python scripts/train_speech_demo.py evaluate --work DIR --out MODEL_DIR --report FILE  # via faster-whisper only
    python scripts/train_speech_demo.py samples --work DIR --samples SAMPLE_DIR  # held-out clips and a scene

Needs: torch, numpy, scipy, soundfile, transformers, tokenizers, ctranslate2,
faster-whisper; the espeak-ng shared library and the ffmpeg program.

What makes it learn in about an hour on two CPU cores:

* espeak-ng reports when every syllable starts, so nothing has to be aligned by
  the model on its own: the encoder gets a per-frame "which syllable" loss, and two
  of three cross-attention heads are told which frames belong to the character
  being written.  The same heads are exported as ``alignment_heads``, which is
  what faster-whisper's word timestamps are computed from.
* faster-whisper (1.2) pads every window with zeros to 3000 mel frames whatever
  ``chunk_length`` says.  All encoder positions from 10 s on therefore share ONE
  learnt position vector: 999 identical inputs stay identical in every layer, so
  training represents them as a single "pad" position whose attention score gets
  + log(999).  This is exact, and saves two thirds of the encoder's work.
* bfloat16 autocast, features and augmentation made on the fly, and a curriculum
  from 3-6 s windows to the full 10 s window.
"""

# It is kept as it was run: what made the weights that are shipped must stay readable as that. So the checks that ask
# for another form are off for this file; nothing of the program imports it.
# ruff: noqa: A002, B905, E501, N812, PERF401, PLW2901, RUF005, RUF007, RUF012, S101, S106, S311, SIM108, SIM905

from __future__ import annotations

import argparse
import bisect
import ctypes
import glob
import json
import math
import multiprocessing
import os
import random
import re
import subprocess
import tempfile
import time

import numpy as np

SAMPLE_RATE = 16000
WINDOW_SECONDS = 10  # content of one window; also preprocessor chunk_length
N_MELS, HOP, N_FFT = 80, 160, 400
WINDOW_POSITIONS = WINDOW_SECONDS * 50  # encoder positions with content (50 per second)
TOTAL_POSITIONS = 1500  # what faster-whisper feeds (3000 mel frames)
MAX_TARGET = 448
D_MODEL, HEADS, ENC_LAYERS, DEC_LAYERS = 192, 3, 4, 2
GUIDED_HEADS = (0, 1)  # cross-attention heads (of every decoder layer) taught to align
PUNCTUATION = "，。？"

# ---------------------------------------------------------------------------
# 1. The spoken domain: templates with slots
# ---------------------------------------------------------------------------
# One template per line.  "{slot}" is filled at random, "[a|b]" picks one of the
# alternatives, and a leading "!" marks a template that is NEVER used in training
# (it makes the "unseen templates" test set).

TEMPLATES = """
# identity and certificate
[您好|你好]，我们是{area}市场监督管理局的执法人员。
我们是{area}市场监督管理局的，我姓{surname}，这位是我的同事{person}。
我叫{name}，这位是{name}，我们是{area}市场监督管理局的执法人员。
这是我们的执法证件，请您看一下。
这是我的执法证，证号是{digits}。
请您[看清楚|核对一下]我们的执法证件。
我们的执法证号分别是{digits}和{digits}。
今天我们依法对您的{shop}进行[现场检查|监督检查|食品安全检查]。
我们接到群众[举报|投诉]，说这里[销售|使用]过期的{food}。
根据{law}的规定，我们依法对您这里进行检查。
现在开始现场检查，检查过程全程[录音录像|录像|记录]。
执法记录仪已经打开，请您[配合|知悉]。
现在是{date}{time}，检查地点是{addr}。
现在是{time}，我们在{addr}的{shop}。
请问[这里的|店里的]负责人是谁？
请问您怎么称呼？
请问您是这里的[老板|负责人|经理|店长]吗？
您是{person}吗，我们是市场监督管理局的。
请您[介绍|说明]一下这家{shop}的基本情况。
!我们两个人都是{area}市场监督管理局的执法人员，请您看一下证件。
!您好{person}，今天对您的{shop}进行检查，这是我的执法证。
# rights
您有权[申请回避|要求我们回避]，您是否申请回避？
如果您认为我们与本案有利害关系，您有权申请回避。
您对执法人员是否申请回避？
您有[陈述|申辩|陈述和申辩]的权利。
您依法享有陈述权和申辩权。
您有权在{num}日内申请行政复议，也可以向人民法院起诉。
您可以在{num}个月内向人民法院提起行政诉讼。
您有义务如实回答询问，不得[阻挠|拒绝]检查。
请您如实回答我们的问题，不要隐瞒情况。
我们会为您保守商业秘密和个人信息。
您听清楚了吗，有没有不明白的地方？
您有要求举行听证的权利。
您可以在五个工作日内提出听证申请。
!您是否要求回避，是否需要陈述申辩？
!您对我们的检查有权陈述和申辩。
# documents
请[出示|拿出|提供]一下您的{doc}。
请把{doc}[拿给我看一下|放在桌子上|复印一份]。
[您的|这里的|店里的]{doc}在哪里？
您有没有{doc}？
您这里的{doc}[已经过期|没有公示|没有年检]了。
{doc}上的地址是{addr}，对吗？
{doc}的编号是{digits}。
营业执照上的名字是{name}，是您本人吗？
这批{food}的{doc}有没有？
请提供{food}的进货票据和检验合格证明。
{doc}和{doc}都请[出示|提供]一下。
这份{doc}的有效期到{date}。
这张{doc}不是原件，请提供原件。
!请您把{doc}和{doc}都拿出来，我们核对一下。
!您能不能提供这批{food}的{doc}？
# inspection talk
这批{food}是从哪里进的？
这批{food}一共[进了|卖了|剩下]多少？
这批{food}一共{qty}。
这些{food}是什么时候进的货？
{food}的生产日期是{date}。
{food}的保质期是{period}，已经过期了。
这{qty}{food}已经超过保质期{period}了。
这{qty}{food}没有[标签|生产日期|中文标签|检验合格证明]。
冷库的温度是{temp}。
冰柜[现在的|显示的]温度是{temp}，[不符合|符合]要求。
请把冰柜打开，我们看一下里面的{food}。
请打开仓库的门，我们要检查里面的{food}。
请您[打开|指一下]后面的[仓库|冷库|操作间]。
{food}每[瓶|箱|袋|斤]卖{money}。
进价是{money}，卖价是{money}。
这批{food}的货值金额是{money}。
违法所得一共是{money}。
供货商是{area}的一家{shop}，电话是{digits}。
联系电话是{digits}。
请您[说一下|报一下]联系电话。
现场发现过期{food}{qty}。
现场共有{food}{qty}，{food}{qty}。
现在清点数量，{food}{qty}，单价{money}。
货架上有{qty}{food}，生产日期是{date}。
商品名称是{food}，数量是{qty}，单价是{money}。
操作间里有{num}名从业人员没有戴口罩。
从业人员{name}没有健康证明。
后厨的地面有[积水|垃圾]，垃圾桶没有盖子。
后厨[没有|缺少]防鼠防蝇设施。
消毒柜没有[打开|正常使用]。
生肉和熟食放在一起，存在交叉污染。
食品直接放在地上，没有离地离墙。
你们每天[几点|什么时候]开始营业？
这里每天早上{hour}开门，晚上{hour}关门。
这家{shop}的面积是{num}平方米。
店里一共有{num}名员工。
你们是什么时候开始经营的？
我们从{date}开始经营。
我们是{date}从{area}进的货。
这是我们{shop}自己[做的|加工的]。
{food}是昨天刚进的，还没有开始卖。
我不知道这些{food}过期了。
进货的时候我没有看生产日期。
票据都在[会计|老板|经理]那里。
老板不在，我只是[员工|打工的|看店的]。
我马上给老板打电话。
老板在外地，明天才能回来。
电子秤没有检定，称出来少{num}克。
价格标签上写的是{money}，收款的时候是{money}。
没有明码标价，请立即改正。
广告上写着[治疗疾病|国家级|最好的]，[违反了|不符合]广告法。
这台[电梯|锅炉|叉车]的检验日期是{date}。
电梯的检验合格标志已经过期{period}。
我们要对{food}[抽样检验|进行抽检]，请您配合。
抽样数量是{qty}，备样{qty}。
样品已经封好，请您签字确认。
检验结果出来以后我们会通知您。
请您现场[拍照|确认]一下。
我们现在对现场进行拍照。
这辆车的车牌尾号是{digits4}。
送货的车牌尾号是{digits4}，司机姓{surname}。
送货的是{person}，电话是{digits}。
!现场检查发现{food}{qty}没有标签。
!这批{food}是{date}生产的，保质期{period}。
!请您说明一下这{qty}{food}是从哪里进的。
!冰柜里有{qty}{food}，温度是{temp}。
!你们店里的{food}卖多少钱？
!{food}的进价是多少，一共卖了多少？
# record, sign, measures
请您在笔录上签字，[并写上日期|并按手印]。
请您在[现场检查笔录|询问笔录|扣押清单|送达回证|责令改正通知书]上签字。
请您[看一下|核对一下]笔录，没有问题就签字。
笔录一共{num}页，请您逐页签字。
以上笔录我看过，和我说的一样。
您对笔录有没有[意见|补充|异议]？
您拒绝签字，我们会在笔录上注明。
{person}拒绝签字，由见证人{name}签字。
请见证人{name}签字。
这是扣押清单，一式{num}份，请您核对。
我们依法[扣押|查封]这{qty}{food}。
扣押的{food}一共{qty}，请您清点。
扣押期限是{num}日，从今天开始计算。
查封的场所是{shop}的仓库。
这是封条，不得擅自[撕毁|打开]。
责令您立即[停止销售|停止经营|改正]。
请您在{num}日内[改正|整改]完毕。
请您{date}{time}到{addr}接受询问。
请您带上[身份证|营业执照|进货票据]到局里来一趟。
依法对您处以[罚款|警告]，罚款{money}。
拟对您作出罚款{money}的行政处罚。
根据{law}，责令改正，给予警告。
根据{law}，可以处以{money}以上{money}以下的罚款。
罚款请到[银行|指定银行]缴纳，我们不收现金。
请在收到决定书之日起十五日内缴纳罚款。
逾期不缴纳罚款的，每日加处百分之三的罚款。
这份文书现在向您送达，请签收。
今天的检查到此结束，谢谢您的配合。
检查结束的时间是{time}。
首次违法，情节轻微，不予处罚。
我们会在{num}个工作日内给您答复。
这次给您[警告|批评教育]，下次不要再犯。
!请您核对扣押清单，数量是{qty}，没有问题请签字。
!请您在{date}以前把问题整改完毕。
!对这批{food}我们依法先行登记保存。
# conflict
你凭什么查我？
你们凭什么[查我的店|扣我的东西|罚我的款]？
你们[有什么权力|有什么证据]查我？
别拍了，[别拍了|听见没有|拿开]！
不要[录像|拍我|录音]！
把手机放下！
把[东西|刀|棍子|手机]放下，[往后退|退后]！
请您[冷静|冷静一下|不要激动]，有话好好说。
请您退后，[保持距离|不要靠近]。
退后，退后！
不许动！
站住，不要跑！
你再[推人|骂人|动手]我们就报警了。
请您不要[阻碍|妨碍]执法，否则要承担法律责任。
阻碍执法人员依法执行职务是违法行为。
我要[投诉|举报|起诉]你们！
我要投诉你，你叫什么名字，证号多少？
我要找你们[领导|局长]！
我认识你们局长，你信不信？
打人了，执法人员打人了！
打人了，快报警！
救命，救命啊！
快[打电话|叫救护车|报警]！
有人[受伤|晕倒|流血]了，快叫救护车。
[旁边|后面]的群众请往后退，不要围观。
我就不签，你能把我怎么样？
我不签字，你们走吧。
今天谁也别想[拿走|搬走]我的{food}。
滚出去，[这里不欢迎你们|不要动我的东西]！
你们欺负人，我要曝光你们！
我没有违法，你们弄错了。
大家都这样卖，为什么只查我？
别动我的{food}，[你们赔得起吗|放下]！
我要录像，发到网上去。
您可以拍摄，但是请不要[影响|妨碍]我们工作。
对方手里有[刀|棍子]，注意安全。
请求支援，我们在{addr}。
警察马上就到，请大家冷静。
请你松手，不要拉扯执法人员。
!你凭什么拍我，把手机放下！
!不要动手，退后，请您冷静！
!我要投诉你们局长，你们打人了！
!救命啊，有人拿刀，快报警！
# risk words
这点小意思您收下，[行个方便|交个朋友]。
给你[红包|两条烟|点好处]，[这事就算了|别查了|通融一下]。
{person}，这里有{money}，您拿着[喝茶|买烟]。
能不能[通融一下|少罚一点|不要罚款|私了]？
咱们[私了|私下解决]吧，我给你{money}。
把[记录仪|录像|摄像头]关掉，[我们谈谈|咱们好商量]。
把记录仪关了再说。
关掉记录仪，不要录像。
不要开票，直接给我[现金|转账]{money}就行。
你给我{money}，这事就算过去了。
罚款交给我，我[帮你处理|不开票据]。
请您把钱收回去，我们不能收。
请不要塞钱，[这是违法行为|这个行为已经被记录]。
您的行为涉嫌行贿，请立即停止。
下次来检查我提前给你打电话。
我给你们送了{food}，[别客气|拿回去吃]。
记录仪没电了，[换一台|先不录了]。
!你把记录仪关掉，我给你{money}，咱们私了。
!领导通融一下，这{money}您收下。
# guidance, addresses, people, patrol talk
请您到[旁边|外面|办公室|大厅]等一下。
请跟我来，[这边走|在里面]。
从{road}往[东|西|南|北]走，到{road}路口。
我们现在在{addr}，准备进入{shop}。
指挥中心，我是{area}市场所{surname}{num}号，已到达现场。
收到，[马上处理|正在前往|请保持联系]。
{person}，请您[坐下说|慢慢说|再说一遍]。
{person}，您[还有什么要补充的|听明白了吗|同意吗]？
投诉人是{person}，电话是{digits}。
投诉人说{date}在这里买了{qty}{food}，花了{money}。
消费者要求退款{money}，您是否同意？
我同意退款{money}，[三天内|今天]退给他。
双方同意调解，赔偿{money}。
不同意调解的，可以[向法院起诉|申请仲裁]。
请您[加强管理|落实责任|建立台账]，做好进货查验。
请及时清理过期食品，每天[检查|记录]一次。
请您办理[变更登记|营业执照|食品经营许可证]。
办理地点在{addr}，电话是{digits}。
工作时间是早上{hour}到下午{hour}。
谢谢，[再见|辛苦了|麻烦您了]。
好的，我[知道了|明白了|马上改]。
是的，我是{name}，我是这里的[老板|负责人|经理|店长]。
我叫{name}，今年{num}岁，住在{addr}。
我的身份证号后四位是{digits4}。
没有问题，我签字。
对不起，我们一定改正。
不是的，这些{food}是[我自己吃的|准备退货的|客人带来的]。
!我是这家{shop}的负责人，我叫{name}。
!消费者在这里买的{food}已经过期，要求赔偿{money}。
!请您到{addr}办理{doc}。
"""

SLOTS = {
    "area": "江城区 东湖区 高新区 开发区 南山区 临江市 海州市 新城县 清河县 西山区 北城区 长安区 平江县 金水区".split(),
    "surname": "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 程".split(),
    "given": "伟 强 明 军 杰 勇 刚 平 辉 文 建国 建华 志强 志明 国强 国庆 海燕 小红 小明 秀英 玉兰 丽 静 芳 敏 春花 晓东 立新".split(),
    "title": "先生 女士 老板 师傅 经理 店长".split(),
    "road": "建设路 人民路 解放路 中山路 长江路 和平路 文化街 东风街 北京路 胜利街 新华路 学府路 滨河路 光明街 工业路 农贸街".split(),
    "shop": "餐馆 超市 药店 便利店 面馆 火锅店 烧烤店 奶茶店 蛋糕店 水果店 菜市场 食堂 仓库 加工厂 小吃店 早餐店 肉店 饭店".split(),
    "food": "牛奶 面包 猪肉 牛肉 鸡肉 鸡蛋 大米 面粉 食用油 白酒 啤酒 酱油 饼干 火腿肠 豆腐 海鲜 冷冻虾 蔬菜 水果 蛋糕 月饼 饮料 矿泉水 奶粉 保健品 口罩 药品 化妆品 香烟 茶叶 方便面 牛羊肉".split(),
    "doc": "营业执照 食品经营许可证 健康证 身份证 进货票据 检验合格证明 购销台账 进货查验记录 供货商资质 健康证明 检验报告 药品经营许可证 送货单 合同".split(),
    "law": ["食品安全法", "行政处罚法", "行政强制法", "产品质量法", "广告法", "价格法", "药品管理法"],
    "unit": "箱 瓶 袋 斤 公斤 盒 包 件 桶".split(),
}

DIGITS = "零一二三四五六七八九"


def number_to_chinese(n: int) -> str:
    """Reads 0..99999 aloud in Chinese characters."""
    if n < 10:
        return DIGITS[n]
    out, zero = "", False
    for value, unit in ((10000, "万"), (1000, "千"), (100, "百"), (10, "十"), (1, "")):
        d, n = divmod(n, value)
        if d:
            if zero and out:
                out += "零"
            zero = False
            out += ("" if value == 10 and d == 1 and not out else DIGITS[d]) + unit
        else:
            zero = True
    return out


def fill_slot(slot: str, rng: random.Random) -> str:
    """One random filling of one slot."""
    pick = lambda key: rng.choice(SLOTS[key])  # noqa: E731
    if slot == "name":
        return pick("surname") + pick("given")
    if slot == "person":
        return pick("surname") + pick("title")
    if slot == "addr":
        return pick("road") + number_to_chinese(rng.randint(1, 399)) + "号"
    if slot == "num":
        return number_to_chinese(rng.choice([rng.randint(2, 30), rng.randint(2, 99)]))
    if slot == "digits":
        return "".join(rng.choice(DIGITS) for _ in range(rng.randint(4, 8)))
    if slot == "digits4":
        return "".join(rng.choice(DIGITS) for _ in range(4))
    if slot == "qty":
        return number_to_chinese(rng.choice([rng.randint(3, 60), rng.randint(3, 300)])) + pick("unit")
    if slot == "money":
        base = rng.choice(
            [rng.randint(1, 99), rng.randint(1, 99) * 10, rng.randint(1, 99) * 100, rng.randint(1, 9) * 10000]
        )
        return number_to_chinese(base) + rng.choice(["元", "元", "块钱"])
    if slot == "date":
        day = number_to_chinese(rng.randint(1, 12)) + "月" + number_to_chinese(rng.randint(1, 31)) + "日"
        year = "二零二" + rng.choice("三四五六") + "年"
        return rng.choice(["", year]) + day
    if slot == "time":
        part = rng.choice(["上午", "下午", "晚上"])
        minute = rng.choice(["", "", "半", "十分", "二十分", "四十分", "十五分", "三十五分"])
        return part + number_to_chinese(rng.randint(1, 12)) + "点" + minute
    if slot == "hour":
        return number_to_chinese(rng.randint(5, 11)) + "点"
    if slot == "period":
        return number_to_chinese(rng.randint(3, 30)) + rng.choice(["天", "个月"])
    if slot == "temp":
        return rng.choice(["", "零下"]) + number_to_chinese(rng.randint(1, 25)) + "度"
    if slot == "law":
        return pick("law") + rng.choice(["", "第" + number_to_chinese(rng.randint(1, 150)) + "条"])
    return pick(slot)


def fill_template(template: str, rng: random.Random) -> str:
    text = re.sub(r"\[([^\]]*)\]", lambda m: rng.choice(m.group(1).split("|")), template)
    text = re.sub(r"\{(\w+)\}", lambda m: fill_slot(m.group(1), rng), text)
    return text.replace("！", "。")


# ---------------------------------------------------------------------------
# 2. Stage "text": sentences, splits and voices
# ---------------------------------------------------------------------------

# espeak-ng variants; the plain "cmn" voice spells pinyin as English letters, so
# only "cmn-latn-pinyin" is used.
TRAIN_VARIANTS = (
    "m1 m2 m3 m4 m5 m7 m8 f1 f2 f3 f5 klatt klatt2 klatt4 Alex Andy Annie Lee "
    "Jacky Mario Michael Storm steph steph2 anika belinda Alicia Denis Hugo iven rob aunty"
).split()
HELD_OUT_VARIANTS = ["f4", "m6", "Andrea"]


def han_only(text: str) -> str:
    return re.sub(r"[^\u4e00-\u9fff]", "", text)


def random_voice(rng: random.Random, variants) -> dict:
    return {
        "voice": "cmn-latn-pinyin+" + rng.choice(variants),
        "rate": rng.randint(130, 230),
        "pitch": rng.randint(20, 80),
    }


def statute_clauses(law_dir: str, charset: set) -> list:
    clauses = set()
    for path in sorted(glob.glob(os.path.join(law_dir, "*-law.md")) + glob.glob(os.path.join(law_dir, "*penalty.md"))):
        with open(path, encoding="utf-8") as f:
            for sentence in re.split(r"[。；：\n、（）《》]", f.read()):
                for part in (sentence, *sentence.split("，")):
                    if 5 <= len(part) <= 26 and set(part) <= charset | {"，"} and not part.startswith("，"):
                        clauses.add(part + "。")
    return sorted(clauses)


def stage_text(args) -> None:
    rng = random.Random(args.seed)
    lines = [ln for ln in TEMPLATES.split("\n") if ln and not ln.startswith("#")]
    seen = [ln for ln in lines if not ln.startswith("!")]
    unseen = [ln[1:] for ln in lines if ln.startswith("!")]
    slotted = [t for t in seen if "{" in t]

    def filled(templates, count, taken, weights=None):
        out, tries = {}, 0
        while len(out) < count and tries < count * 40:
            tries += 1
            template = rng.choices(templates, weights)[0]
            text = fill_template(template, rng)
            if text not in taken and text not in out and len(text) <= 46:
                out[text] = template
        return [{"text": t, "template": p} for t, p in out.items()]

    corpus = []
    for split, templates, count in (
        ("fill", slotted, args.n_test),
        ("template", unseen, args.n_test),
        ("voice", slotted, args.n_test),
    ):
        for item in filled(templates, count, {c["text"] for c in corpus}):
            variants = HELD_OUT_VARIANTS if split == "voice" else TRAIN_VARIANTS
            corpus.append(item | {"split": split} | random_voice(rng, variants))
    held_out = {c["text"] for c in corpus}

    # Training text: templates, statute clauses, and word salad that keeps the
    # decoder listening instead of completing templates from memory.
    train = []
    weights = [0.5 + 0.5 * min(len(re.findall(r"[{\[]", t)), 4) for t in seen]
    n_template, n_law = int(args.n_train * 0.74), int(args.n_train * 0.12)
    while len(train) < n_template:
        text = fill_template(rng.choices(seen, weights)[0], rng)
        if text not in held_out and len(text) <= 46:
            train.append({"text": text, "kind": "template"})
    charset = {c for t in train for c in han_only(t["text"])}
    clauses = statute_clauses(args.laws, charset) if args.laws else []
    rng.shuffle(clauses)
    train += [{"text": t, "kind": "law"} for t in (clauses * 3)[:n_law]]
    fragments = [w for k in SLOTS if k not in ("given", "unit") for w in SLOTS[k]]
    for t in train[:n_template]:
        fragments += [p for p in re.split("[，。？]", t["text"]) if 2 <= len(p) <= 6]
    dynamic = ("name", "person", "addr", "num", "digits", "qty", "money", "date", "time", "period", "temp")
    bigrams = sorted(
        {
            t["text"][i : i + 2]
            for t in train
            for i in range(len(t["text"]) - 1)
            if len(han_only(t["text"][i : i + 2])) == 2
        }
    )
    while len(train) < args.n_train:
        parts = []
        for _ in range(rng.randint(2, 6)):
            r = rng.random()
            parts.append(
                rng.choice(fragments)
                if r < 0.5
                else fill_slot(rng.choice(dynamic), rng)
                if r < 0.75
                else rng.choice(bigrams)
            )
        text = "".join(parts)[:30] + "。"
        train.append({"text": text, "kind": "salad"})
    for item in train:
        corpus.append(item | {"split": "train"} | random_voice(rng, TRAIN_VARIANTS))
    missing = {c for item in corpus for c in han_only(item["text"])} - {c for t in train for c in han_only(t["text"])}
    corpus = [c for c in corpus if not set(c["text"]) & missing]
    characters = sorted({c for item in corpus for c in han_only(item["text"])})
    os.makedirs(args.work, exist_ok=True)
    with open(os.path.join(args.work, "corpus.json"), "w", encoding="utf-8") as f:
        json.dump({"characters": "".join(characters), "items": corpus}, f, ensure_ascii=False)
    print(
        f"{len(seen)} training templates, {len(unseen)} held-out templates, {len(clauses)} statute clauses, "
        f"{len(characters)} characters, {len(corpus)} sentences; dropped for unseen characters: {missing}"
    )


# ---------------------------------------------------------------------------
# 3. Stage "audio": synthesis with syllable times, and codec round trips
# ---------------------------------------------------------------------------


class Espeak:
    """The espeak-ng shared library: text -> 16 kHz audio + time of every syllable."""

    class Event(ctypes.Structure):
        _fields_ = [
            ("type", ctypes.c_int),
            ("uid", ctypes.c_uint),
            ("text_position", ctypes.c_int),
            ("length", ctypes.c_int),
            ("audio_position", ctypes.c_int),
            ("sample", ctypes.c_int),
            ("user_data", ctypes.c_void_p),
            ("id", ctypes.c_char * 8),
        ]

    WORD, PHONEME = 1, 7

    def __init__(self):
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(2, 0, None, 1)  # synchronous, with phoneme events
        self.chunks, self.events = [], []

        def callback(wav, n, events):
            if n > 0:
                self.chunks.append(np.ctypeslib.as_array(wav, (n,)).copy())
            i = 0
            while events[i].type != 0:
                e = events[i]
                self.events.append((e.type, e.text_position, e.audio_position, e.id.decode("utf-8", "replace")))
                i += 1
            return 0

        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(self.Event))
        self.callback = kind(callback)
        self.lib.espeak_SetSynthCallback(self.callback)

    def say(self, text: str, voice: str, rate: int, pitch: int):
        """Returns (int16 audio at 16 kHz, [(char, start_ms, end_ms, syllable)]) or None."""
        from scipy.signal import resample_poly

        self.chunks.clear(), self.events.clear()
        if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError("no such espeak-ng voice: " + voice)
        self.lib.espeak_SetParameter(1, rate, 0)
        self.lib.espeak_SetParameter(3, pitch, 0)
        data = text.encode("utf-8")
        self.lib.espeak_Synth(data, len(data) + 1, 0, 0, 0, 1, None, None)
        syllables, current = [], None
        for kind, position, ms, name in self.events:
            if kind == self.WORD and 1 <= position <= len(text):
                if text[position - 1] in PUNCTUATION:  # reported late, after its clause
                    continue
                if current:
                    current[2] = current[2] or ms
                current = [text[position - 1], ms, 0, ""]
                syllables.append(current)
            elif kind == self.PHONEME and current:
                if name.startswith("_:") or name == "_":
                    current[2] = current[2] or ms
                elif not name.startswith(("_", "(")):
                    current[3] += name
        if not syllables or "".join(s[0] for s in syllables) != han_only(text):
            return None
        wave = np.concatenate(self.chunks)
        end_ms = syllables[-1][2] = syllables[-1][2] or int(len(wave) * 1000 / self.rate)
        wave = wave[: int((end_ms + 60) * self.rate / 1000)].astype(np.float32)
        wave = resample_poly(wave, 320, 441)
        peak = np.abs(wave).max()
        return (wave * (20000 / max(peak, 1))).astype(np.int16), [tuple(s) for s in syllables]


CODECS = {
    "aac24": (["-c:a", "aac", "-b:a", "24k"], ".m4a"),
    "aac48": (["-c:a", "aac", "-b:a", "48k"], ".m4a"),
    "opus16": (["-c:a", "libopus", "-b:a", "16k"], ".ogg"),
    "opus32": (["-c:a", "libopus", "-b:a", "32k"], ".ogg"),
    "tel8k": (["-c:a", "pcm_s16le", "-ar", "8000"], ".wav"),
}


def codec_round_trip(audio: np.ndarray, codec: str) -> np.ndarray:
    """int16 mono 16 kHz -> encoded -> decoded, same length."""
    options, suffix = CODECS[codec]
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "x" + suffix)
        raw = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", *raw, "-i", "-", *options, path], input=audio.tobytes(), check=True
        )
        out = subprocess.run(["ffmpeg", "-v", "error", "-i", path, *raw, "-"], capture_output=True, check=True).stdout
    decoded = np.frombuffer(out, np.int16)[: len(audio)]
    return np.pad(decoded, (0, len(audio) - len(decoded)))


def _synthesise_block(job):
    items, codec = job
    engine = _synthesise_block.engine = getattr(_synthesise_block, "engine", None) or Espeak()
    done, waves = [], []
    for item in items:
        result = engine.say(item["text"], item["voice"], item["rate"], item["pitch"])
        if result is None:
            continue
        waves.append(result[0])
        done.append(item | {"syllables": result[1], "codec": codec or "none"})
    if codec and waves:
        gap = np.zeros(SAMPLE_RATE // 4, np.int16)
        joined = codec_round_trip(np.concatenate([x for w in waves for x in (w, gap)]), codec)
        position, decoded = 0, []
        for w in waves:
            decoded.append(joined[position : position + len(w)])
            position += len(w) + len(gap)
        waves = decoded
    return done, waves


def stage_audio(args) -> None:
    with open(os.path.join(args.work, "corpus.json"), encoding="utf-8") as f:
        items = json.load(f)["items"]
    rng = random.Random(args.seed)
    jobs = []
    for split in sorted({i["split"] for i in items}):
        part = [i for i in items if i["split"] == split]
        rng.shuffle(part)
        for k in range(0, len(part), 50):
            codec = rng.choice(sorted(CODECS)) if split == "train" and rng.random() < 0.35 else None
            jobs.append((part[k : k + 50], codec))
    audio, meta, offset, t0 = [], [], 0, time.time()
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for done, waves in pool.imap(_synthesise_block, jobs):
            for item, wave in zip(done, waves):
                audio.append(wave)
                meta.append(item | {"offset": offset, "length": len(wave)})
                offset += len(wave)
    np.save(os.path.join(args.work, "audio.npy"), np.concatenate(audio))
    with open(os.path.join(args.work, "align.json"), "w", encoding="utf-8") as f:
        json.dump(meta, f, ensure_ascii=False)
    print(
        f"{len(meta)} of {len(items)} sentences, {offset / SAMPLE_RATE / 3600:.1f} h of audio, {time.time() - t0:.0f} s"
    )


# ---------------------------------------------------------------------------
# 4. Vocabulary
# ---------------------------------------------------------------------------


class Vocabulary:
    """Characters, then Whisper's special tokens in the order CTranslate2 expects."""

    LANGUAGES = ["zh", "en"]

    def __init__(self, characters: str):
        # The empty token is how CTranslate2 recognises a multilingual vocabulary.
        text = ["<|unk|>", *PUNCTUATION, *characters, ""]
        special = [
            "<|endoftext|>",
            "<|startoftranscript|>",
            *(f"<|{x}|>" for x in self.LANGUAGES),
            "<|translate|>",
            "<|transcribe|>",
            "<|startoflm|>",
            "<|startofprev|>",
            "<|nospeech|>",
            "<|notimestamps|>",
        ]
        times = [f"<|{i * 0.02:.2f}|>" for i in range(WINDOW_POSITIONS + 1)]
        self.text, self.special, self.times = text, special, times
        self.tokens = text + special + times
        self.id = {t: i for i, t in enumerate(self.tokens)}
        self.eot, self.sot = self.id["<|endoftext|>"], self.id["<|startoftranscript|>"]
        self.zh, self.transcribe = self.id["<|zh|>"], self.id["<|transcribe|>"]
        self.prev, self.nospeech = self.id["<|startofprev|>"], self.id["<|nospeech|>"]
        self.notimestamps = self.id["<|notimestamps|>"]

    def time(self, seconds: float) -> int:
        return self.notimestamps + 1 + min(WINDOW_POSITIONS, max(0, round(seconds * 50)))

    def tokenizer(self):
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers

        tok = Tokenizer(models.BPE(vocab={t: self.id[t] for t in self.text}, merges=[], unk_token="<|unk|>"))
        tok.normalizer = normalizers.Sequence(
            [
                normalizers.Replace(Regex(r"\s+"), ""),
                *(normalizers.Replace(a, b) for a, b in zip(",.?!！；：:", "，。？。。，，，")),
            ]
        )
        tok.decoder = decoders.Fuse()
        tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in self.special + self.times])
        assert all(tok.token_to_id(t) == i for t, i in self.id.items())
        return tok

    @classmethod
    def load(cls, work: str) -> Vocabulary:
        with open(os.path.join(work, "corpus.json"), encoding="utf-8") as f:
            return cls(json.load(f)["characters"])


# ---------------------------------------------------------------------------
# 5. Features, augmentation and batches (all made on the fly)
# ---------------------------------------------------------------------------


class Features:
    """The same log-mel as faster_whisper.FeatureExtractor, for a batch of windows."""

    def __init__(self):
        import torch
        from faster_whisper.feature_extractor import FeatureExtractor

        filters = FeatureExtractor.get_mel_filters(SAMPLE_RATE, N_FFT, n_mels=N_MELS)
        self.filters = torch.tensor(filters, dtype=torch.float32)
        self.window = torch.hann_window(N_FFT)

    def __call__(self, audio, lengths, headroom):
        """audio (B, T), content samples per row, extra file-level maximum in log10 units."""
        import torch

        spectrum = torch.stft(audio, N_FFT, HOP, window=self.window, center=True, return_complex=True)[..., :-1]
        mel = self.filters @ spectrum.abs().square()
        log = torch.log10(mel.clamp_min(1e-10))
        frames = torch.arange(log.shape[-1])[None, None, :]
        inside = frames < (lengths // HOP)[:, None, None]
        top = torch.where(inside, log, torch.full_like(log, -10.0)).amax(dim=(1, 2), keepdim=True)
        log = torch.maximum(log, top + headroom[:, None, None] - 8.0)
        return torch.where(inside, (log + 4.0) / 4.0, torch.zeros_like(log))  # zero padding, as at inference


def coloured_noise(rng: np.random.Generator, n: int, slope: float) -> np.ndarray:
    """RMS 1; amplitude falls with frequency ** slope (0 white, 0.5 pink, 1 brown)."""
    freqs = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) / freqs**slope, n)
    return (x / x.std()).astype(np.float32)


def make_noise_bank(rng: np.random.Generator, seconds: int = 40) -> list:
    """White, pink, brown, hum and slowly modulated noises, each with RMS 1."""
    n = seconds * SAMPLE_RATE
    bank = [coloured_noise(rng, n, slope) for slope in (0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 0.7)]
    t = np.arange(n) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t + rng.uniform(0, 6)) / k for k in range(1, 9))
    bank.append(hum / hum.std() + 0.3 * bank[2])
    for i in (0, 2, 4):  # gusts and passing traffic
        envelope = np.interp(t, np.arange(seconds + 1), rng.uniform(0.1, 1.0, seconds + 1))
        bank.append(bank[i] * envelope)
    return [(b / b.std()).astype(np.float32) for b in bank]


class Sampler:
    """Draws training windows: 1-3 sentences with pauses, noise and reverberation, or no speech at all."""

    def __init__(self, work: str, vocab: Vocabulary, seed: int):
        self.vocab = vocab
        self.audio = np.load(os.path.join(work, "audio.npy"), mmap_mode="r")
        with open(os.path.join(work, "align.json"), encoding="utf-8") as f:
            items = json.load(f)
        names = sorted({s[3] for i in items for s in i["syllables"]})
        self.n_syllables = len(names) + 1
        index = {n: k + 1 for k, n in enumerate(names)}
        for item in items:  # per text token: id, start, end (s); per syllable: label
            syllables, k, tokens = item["syllables"], 0, []
            for char in item["text"]:
                if char in PUNCTUATION:
                    start = syllables[k - 1][2] / 1000
                    end = syllables[k][1] / 1000 if k < len(syllables) else start + 0.1
                    tokens.append((vocab.id[char], start, max(end, start + 0.04)))
                else:
                    tokens.append((vocab.id[char], syllables[k][1] / 1000, syllables[k][2] / 1000))
                    k += 1
            item["tokens"] = tokens
            item["frames"] = [(s[1] / 1000, s[2] / 1000, index[s[3]]) for s in syllables]
            item["seconds"] = item["length"] / SAMPLE_RATE
        self.items = {}
        for item in items:
            self.items.setdefault(item["split"], []).append(item)
        self.train = sorted(self.items["train"], key=lambda i: i["seconds"])
        free = [i for i in self.train if i["kind"] != "template"]  # statutes and word salad: drawn more often
        strings = [i for i in self.train if re.search(f"[{DIGITS}]{{4}}", i["text"])]  # telephone numbers and the like
        self.pools = [(pool, [i["seconds"] for i in pool]) for pool in (self.train, free, strings)]
        self.rng = random.Random(seed)
        self.np_rng = np.random.default_rng(seed)
        self.noise = make_noise_bank(self.np_rng)

    def wave(self, item) -> np.ndarray:
        return self.audio[item["offset"] : item["offset"] + item["length"]].astype(np.float32) / 32768

    def draw(self, longest: float):
        """A random sentence that fits; one in five is only a stretch of a sentence."""
        pool, seconds = self.rng.choices(self.pools, (0.7, 0.18, 0.12))[0]
        part = self.rng.random() < 0.2
        n = bisect.bisect_right(seconds, longest * (2 if part else 1))
        if not n:
            return None
        item = pool[self.rng.randrange(n)]
        return self.stretch(item, longest) if part else item

    def stretch(self, item: dict, longest: float):
        """Some consecutive syllables cut out of a sentence, so that nothing can be recited from memory."""
        frames = item["frames"]
        first = self.rng.randrange(max(1, len(frames) - 2))
        last = min(len(frames), first + self.rng.randint(2, 12))
        while last > first and frames[last - 1][1] - frames[first][0] > longest:
            last -= 1
        if last == first:
            return None
        start, end = frames[first][0], frames[last - 1][1]
        a, b = int(start * SAMPLE_RATE), int(end * SAMPLE_RATE)
        return {
            "offset": item["offset"] + a,
            "length": b - a,
            "seconds": (b - a) / SAMPLE_RATE,
            "frames": [(x - start, y - start, k) for x, y, k in frames[first:last]],
            "tokens": [
                (i, x - start, y - start) for i, x, y in item["tokens"] if x >= start - 1e-6 and y <= end + 1e-6
            ],
        }

    def suffix(self, item: dict):
        """What is left of a sentence when a window begins anywhere within it, and the tokens before."""
        at = self.rng.uniform(0.1, max(0.15, item["seconds"] - 0.6))
        a = int(at * SAMPLE_RATE)
        tokens = [(i, max(0.0, x - at), y - at) for i, x, y in item["tokens"] if (x + y) / 2 > at]
        return (
            {
                "offset": item["offset"] + a,
                "length": item["length"] - a,
                "seconds": item["seconds"] - at,
                "frames": [(max(0.0, x - at), y - at, k) for x, y, k in item["frames"] if y > at],
                "tokens": tokens,
            },
            [i for i, x, y in item["tokens"] if (x + y) / 2 <= at],
        )

    def reverb(self, x: np.ndarray) -> np.ndarray:
        n = int(SAMPLE_RATE * self.rng.uniform(0.1, 0.35))
        tail = self.np_rng.standard_normal(n).astype(np.float32) * np.exp(-6.9 * np.arange(n) / n)
        impulse = np.concatenate([[1.0], np.zeros(self.rng.randint(20, 200)), tail * self.rng.uniform(0.01, 0.06)])
        size = 1 << (len(x) + len(impulse)).bit_length()
        return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(impulse, size), size)[: len(x)].astype(np.float32)

    def noise_piece(self, n: int) -> np.ndarray:
        bank = self.rng.choice(self.noise)
        start = self.rng.randrange(len(bank) - n)
        return bank[start : start + n]

    def window(self, seconds: float, cut_share: float) -> dict:
        """One window of at most `seconds`: audio, sentences (tokens with times) and frame labels."""
        rng = self.rng
        n_max = int(seconds * SAMPLE_RATE)
        x = np.zeros(n_max, np.float32)
        frames = np.zeros(int(seconds * 50), np.int64)
        sentences, cut = [], False
        silent = rng.random() < 0.05
        # A dense window is a piece of a long recording: talk up to its end, the last sentence cut off.
        dense = not silent and seconds == WINDOW_SECONDS and rng.random() < 0.45
        t = rng.choice([0.0, rng.uniform(0, 0.3), rng.uniform(0, 0.8)])
        if rng.random() < 0.06:
            t = rng.uniform(0, seconds * 0.5)
        if t > 0.2 and rng.random() < 0.15:  # the last scrap of a sentence that the window before has written
            scrap = self.wave(rng.choice(self.train))[-int(SAMPLE_RATE * rng.uniform(0.08, 0.2)) :]
            x[: len(scrap)] = scrap
        begun, before = None, []
        if not silent and rng.random() < (0.5 if dense else 0.08):  # begins in the middle of a sentence
            begun, before = self.suffix(rng.choice(self.train))
            t = 0.0
        if not silent:
            wanted = 9 if dense else rng.choice([1, 1, 1, 2, 2, 3])
            while len(sentences) < wanted:
                room = seconds - t - 0.02
                any_length = rng.random() < (0.5 if dense else cut_share) and room > 0.5
                item = begun or (rng.choice(self.train) if any_length else self.draw(room))
                begun = None
                if item is None and dense and room > 0.3:
                    item = rng.choice(self.train)
                if item is None:
                    break
                tokens = [(i, t + a, t + b) for i, a, b in item["tokens"]]
                too_long = item["seconds"] > room + 0.02
                if too_long:
                    tokens = [k for k in tokens if (k[1] + k[2]) / 2 <= seconds]
                if not tokens:  # nothing of it would be heard
                    break
                wave = self.wave(item) * 10 ** (rng.uniform(-6, 3) / 20)
                start = int(t * SAMPLE_RATE)
                wave = wave[: n_max - start]
                x[start : start + len(wave)] += wave
                for a, b, label in item["frames"]:
                    frames[max(0, int((t + a) * 50)) : int((t + b) * 50)] = label
                if too_long:
                    cut = True
                    sentences.append(tokens)
                    t = seconds
                    break
                sentences.append(tokens)
                t += item["seconds"] + rng.choice([rng.uniform(0.0, 0.3), rng.uniform(0.2, 1.2)])
        else:
            t = rng.uniform(0.3, seconds)
        if cut or rng.random() < 0.3:
            n = n_max  # content fills the window
        else:
            speech_end = sentences[-1][-1][2] if sentences else t
            n = min(
                n_max, int(SAMPLE_RATE * (speech_end + rng.choice([0.05, rng.uniform(0.02, 0.5), rng.uniform(0, 2)])))
            )
        n = max(n, SAMPLE_RATE // 10)
        x = x[:n]
        if sentences and rng.random() < 0.2:
            x = self.reverb(x)
        power = float(np.sqrt(np.mean(x**2))) if sentences else 0.1
        kind = rng.random()
        if sentences:
            if kind < 0.65:
                x = x + self.noise_piece(n) * power * 10 ** (-rng.uniform(5, 35) / 20)
            elif kind < 0.75:  # babble: other voices, well below the speaker
                other = self.wave(rng.choice(self.train)) + 0
                other = np.resize(other + np.roll(other[::-1], len(other) // 3), n)
                x = x + other * power / (other.std() + 1e-6) * 10 ** (-rng.uniform(14, 28) / 20)
        elif kind < 0.8:
            x = x + self.noise_piece(n) * 10 ** (-rng.uniform(10, 80) / 20)
        gain = 10 ** (rng.uniform(-26, 3) / 20)
        x = np.clip(x * gain, -1, 1)
        # The features' floor hangs on the loudest frame of the whole FILE: leave room for louder parts elsewhere.
        headroom = rng.uniform(0, 1.5 if sentences else 11.0) if rng.random() < (0.25 if sentences else 0.6) else 0.0
        return {
            "x": x,
            "n": n,
            "frames": frames,
            "sentences": [s for s in sentences if s],
            "cut": cut,
            "before": before,
            "headroom": headroom,
            "seconds": seconds,
        }

    def clauses(self, sentence: list) -> list:
        """Now and then a pause at a comma counts as the end of a sentence: both must be possible to continue from."""
        comma, stop = self.vocab.id["，"], self.vocab.id["。"]
        at = [k + 1 for k, token in enumerate(sentence) if token[0] == comma and k + 1 < len(sentence)]
        if not at or self.rng.random() < 0.65:
            return [sentence]
        parts = [sentence[a:b] for a, b in zip([0, *at], [*at, len(sentence)])]
        return [[*p[:-1], (stop, *p[-1][1:])] if p[-1][0] == comma and len(p) > 1 else p for p in parts]

    def target(self, window: dict, prompt: list) -> dict:
        """Decoder tokens, and for each predicted token the span of audio it comes from."""
        v, rng = self.vocab, self.rng
        sentences = window["sentences"]
        head = ([v.prev] + prompt if prompt else []) + [v.sot]
        # (token, span): the span is where the guided heads should look to predict it
        body = [(v.zh if sentences else v.nospeech, None), (v.transcribe, None)]
        if rng.random() < 0.5:
            body.append((v.notimestamps, None))
            for s in sentences:
                body += [(i, (a, b)) for i, a, b in s]
        elif not sentences:
            body.append((v.time(0), None))
        else:
            sentences = [part for s in sentences for part in self.clauses(s)]
            for k, s in enumerate(sentences):
                start, end = s[0][1], max(s[-1][1], s[-1][2] - 0.1 if s[-1][0] < 4 else s[-1][2])
                if k == 0:
                    start = min(start, 1.0)  # faster-whisper allows no later first timestamp
                body.append((v.time(start), (start, start + 0.1)))
                if k == len(sentences) - 1 and window["cut"]:  # write what was heard; the next window goes on
                    end = window["seconds"]
                body += [(i, (a, b)) for i, a, b in s]
                body.append((v.time(end), (end - 0.1, end + 0.1)))
        end = sentences[-1][-1][2] if sentences else 0.0
        body.append((v.eot, (end, end + 0.3) if sentences and not window["cut"] else None))
        ids = head + [b[0] for b in body]
        if not sentences:  # the language slot is asked to say "no speech", but is fed "zh" at inference
            feed = [v.zh if i == v.nospeech else i for i in ids]
        else:
            feed = ids
        return {
            "input": feed[:-1],
            "label": [-100] * (len(head) - 1) + ids[len(head) :],
            "spans": [None] * (len(head) - 1) + [b[1] for b in body],
        }

    def batch(self, seconds: float, size: int, cut_share: float, long_prompts: bool, split: str | None = None) -> dict:
        import torch

        rng = self.rng
        if split is None:
            windows = [self.window(seconds, cut_share) for _ in range(size)]
        else:  # clean held-out sentences, for the running validation
            windows = []
            for item in [i for i in self.items[split] if i["seconds"] < seconds][:size]:
                frames = np.zeros(int(seconds * 50), np.int64)
                for a, b, label in item["frames"]:
                    frames[int(a * 50) : int(b * 50)] = label
                windows.append(
                    {
                        "x": self.wave(item),
                        "n": item["length"],
                        "frames": frames,
                        "cut": False,
                        "sentences": [item["tokens"]],
                        "before": [],
                        "headroom": 0.0,
                        "seconds": seconds,
                    }
                )
        prompts = []
        for window in windows:
            prompt = []
            if split is None and long_prompts and rng.random() < 0.75:
                limit = rng.choice([rng.randint(3, 60), rng.randint(40, 223), 223])  # 223 is faster-whisper's most
                own = [k[0] for s in window["sentences"] for k in s]
                if own and rng.random() < 0.3:  # hot words: a piece of what is about to be said
                    at = rng.randrange(len(own))
                    prompt += own[at : at + rng.randint(2, 5)]
                stamped = rng.random() < 0.6  # faster-whisper hands on the times of the text before, too
                while len(prompt) < limit and (limit == 223 or rng.random() < 0.97):
                    said = [k[0] for k in rng.choice(self.train)["tokens"]]
                    start = rng.uniform(0, WINDOW_SECONDS - 2)
                    end = min(WINDOW_SECONDS, start + len(said) * 0.25)
                    prompt += [self.vocab.time(start), *said, self.vocab.time(end)] if stamped else said
                if window["before"] and rng.random() < 0.8:  # the sentence that the window before began
                    said = window["before"]
                    start = max(0.0, WINDOW_SECONDS - len(said) * 0.25)
                    prompt += [self.vocab.time(start), *said, self.vocab.time(WINDOW_SECONDS)] if stamped else said
                prompt = [0 if rng.random() < 0.01 else k for k in prompt]
                prompt = prompt[-limit:] if stamped or window["before"] else prompt[:limit]
            prompts.append(prompt)
        targets = [self.target(w, p) for w, p in zip(windows, prompts)]
        b, length = len(windows), max(len(t["input"]) for t in targets)
        x = np.zeros((b, int(seconds * SAMPLE_RATE)), np.float32)
        tokens = np.full((b, length), self.vocab.eot, np.int64)
        labels = np.full((b, length), -100, np.int64)
        positions = int(seconds * 50)
        span = np.zeros((b, length, 2), np.float32)
        for k, (w, t) in enumerate(zip(windows, targets)):
            x[k, : w["n"]] = w["x"][: x.shape[1]]
            row = list(t["input"])
            if split is None and rng.random() < 0.5:  # wrong history now and then: listen, do not recite
                row = [
                    rng.randrange(4, self.vocab.eot - 1) if 4 <= i < self.vocab.eot and rng.random() < 0.12 else i
                    for i in row
                ]
            tokens[k, : len(row)] = row
            labels[k, : len(t["label"])] = t["label"]
            for j, s in enumerate(t["spans"]):
                if s is not None:
                    span[k, j] = (max(0.0, s[0] - 0.02), s[1] + 0.02)
        frame = torch.arange(positions)[None, None, :] / 50
        s = torch.tensor(span)
        mask = (frame >= s[..., :1]) & (frame <= s[..., 1:])
        return {
            "x": torch.tensor(x),
            "n": torch.tensor([w["n"] for w in windows]),
            "headroom": torch.tensor([w["headroom"] for w in windows], dtype=torch.float32),
            "frames": torch.tensor(np.stack([w["frames"] for w in windows])),
            "tokens": torch.tensor(tokens),
            "labels": torch.tensor(labels),
            "mask": mask,
        }


# ---------------------------------------------------------------------------
# 6. The model: Hugging Face Whisper weights, with a forward pass of our own
# ---------------------------------------------------------------------------


def build_model(vocab: Vocabulary):
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=len(vocab.tokens),
        num_mel_bins=N_MELS,
        d_model=D_MODEL,
        encoder_layers=ENC_LAYERS,
        decoder_layers=DEC_LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * D_MODEL,
        decoder_ffn_dim=4 * D_MODEL,
        max_source_positions=TOTAL_POSITIONS,
        max_target_positions=MAX_TARGET,
        pad_token_id=vocab.eot,
        bos_token_id=vocab.sot,
        eos_token_id=vocab.eot,
        decoder_start_token_id=vocab.sot,
        suppress_tokens=[],
        begin_suppress_tokens=[],
        init_std=0.03,
    )
    return WhisperForConditionalGeneration(config)


def make_network(vocab: Vocabulary, n_syllables: int):
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.hf = build_model(vocab)
            self.pad_position = nn.Parameter(torch.zeros(D_MODEL))
            self.syllable = nn.Linear(D_MODEL, n_syllables)

        def split_heads(self, x):
            return x.view(x.shape[0], x.shape[1], HEADS, -1).transpose(1, 2)

        def encode(self, mel):
            """mel (B, 80, 2N) -> N content positions and one position standing for all padding."""
            enc, n = self.hf.model.encoder, mel.shape[-1] // 2
            x = F.gelu(enc.conv1(F.pad(mel, (0, 4))))
            x = F.gelu(enc.conv2(x)).transpose(1, 2)  # the last one is pure padding
            content = x[:, :n] + enc.embed_positions.weight[:n]
            x = torch.cat([content, x[:, -1:] + self.pad_position], 1)
            bias = torch.zeros(1, 1, 1, n + 1)
            bias[..., -1] = math.log(TOTAL_POSITIONS - WINDOW_POSITIONS)
            scale = (D_MODEL // HEADS) ** -0.5
            for layer in enc.layers:
                h, att = layer.self_attn_layer_norm(x), layer.self_attn
                q, k, v = (self.split_heads(p(h)) for p in (att.q_proj, att.k_proj, att.v_proj))
                # on this kind of CPU plain matrix products are faster than the fused attention
                h = ((q * scale) @ k.transpose(-1, -2) + bias.to(q.dtype)).softmax(-1, dtype=q.dtype) @ v
                x = x + att.out_proj(h.transpose(1, 2).flatten(2))
                x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
            return enc.layer_norm(x), bias

        def decode(self, tokens, memory, bias):
            """Returns logits and the cross-attention (one (B, heads, T, N) tensor per layer)."""
            dec = self.hf.model.decoder
            x = dec.embed_tokens(tokens) + dec.embed_positions.weight[: tokens.shape[1]]
            maps = []
            for layer in dec.layers:
                h, att = layer.self_attn_layer_norm(x), layer.self_attn
                q, k, v = (self.split_heads(p(h)) for p in (att.q_proj, att.k_proj, att.v_proj))
                h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
                x = x + att.out_proj(h.transpose(1, 2).flatten(2))
                h, att = layer.encoder_attn_layer_norm(x), layer.encoder_attn
                q = self.split_heads(att.q_proj(h))
                k, v = self.split_heads(att.k_proj(memory)), self.split_heads(att.v_proj(memory))
                weights = ((q @ k.transpose(-1, -2)).float() / math.sqrt(D_MODEL // HEADS) + bias).softmax(-1)
                maps.append(weights)
                x = x + att.out_proj((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))
                x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
            return dec.layer_norm(x) @ dec.embed_tokens.weight.T.to(x.dtype), maps

    return Network()


def losses(network, features, batch, spec_augment: bool):
    """Character loss, syllable-per-frame loss, alignment loss, and teacher-forced accuracy."""
    import torch
    import torch.nn.functional as F

    with torch.no_grad():
        mel = features(batch["x"], batch["n"], batch["headroom"])
        if spec_augment:
            for row in mel:
                if random.random() < 0.4:
                    f, w = random.randrange(N_MELS - 12), random.randint(2, 12)
                    row[f : f + w] = row.mean()
                if random.random() < 0.3:
                    t, w = random.randrange(mel.shape[-1] - 16), random.randint(2, 16)
                    row[:, t : t + w] = row.mean()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory, bias = network.encode(mel)
        syllables = network.syllable(memory[:, :-1])
        logits, maps = network.decode(batch["tokens"], memory, bias)
    chosen = batch["labels"] >= 0
    logits, labels = logits[chosen].float(), batch["labels"][chosen]
    char_loss = F.cross_entropy(logits, labels)
    accuracy = (logits.argmax(-1) == labels).float().mean()
    frame_loss = F.cross_entropy(syllables.float().flatten(0, 1), batch["frames"].flatten())
    has_span = batch["mask"].any(-1)
    align_loss = 0.0
    for weights in maps:
        guided = weights[:, list(GUIDED_HEADS), :, :-1]
        inside = (guided * batch["mask"][:, None]).sum(-1)
        align_loss = align_loss - (inside + 1e-5).log().mean(1)[has_span].mean() / len(maps)
    return char_loss, frame_loss, align_loss, accuracy


def stage_train(args) -> None:
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    vocab = Vocabulary.load(args.work)
    sampler = Sampler(args.work, vocab, args.seed)
    features = Features()
    network = make_network(vocab, sampler.n_syllables)
    network.hf.model.encoder.embed_positions.weight.requires_grad_(False)  # sinusoids
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    ema = {k: v.detach().clone() for k, v in network.state_dict().items()}
    step, spent = 0, 0.0
    path = os.path.join(args.work, "ckpt.pt")
    if os.path.exists(path) and not args.restart:
        saved = torch.load(path, weights_only=True)
        network.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        ema, step, spent = saved["ema"], saved["step"], saved["spent"]
        sampler.rng.seed(step)
        sampler.np_rng = np.random.default_rng(step)
        print(f"resumed at step {step}, {spent / 60:.1f} min", flush=True)
    print(
        f"{sum(p.numel() for p in parameters) / 1e6:.2f} M parameters, {len(vocab.tokens)} tokens, "
        f"{len(sampler.train)} sentences, {sampler.n_syllables} syllable classes",
        flush=True,
    )
    budget = args.minutes * 60
    last_save, window, data_time = spent, [], 0.0
    while spent < budget:
        t0 = time.time()
        progress = spent / budget
        # curriculum: short windows first, then more and more full windows
        full = 0.0 if progress < 0.3 else 0.5 if progress < 0.4 else 0.8
        if sampler.rng.random() < full:
            seconds, size = float(WINDOW_SECONDS), args.batch_seconds // WINDOW_SECONDS
        else:
            seconds = sampler.rng.choice([3.0, 4.0, 5.0, 6.0])
            size = int(args.batch_seconds // seconds)
        long_prompts = sampler.rng.random() < (0.0 if progress < 0.2 else 0.3 if progress < 0.5 else 0.75)
        batch = sampler.batch(seconds, size, cut_share=0.15 if progress > 0.2 else 0.0, long_prompts=long_prompts)
        data_time += time.time() - t0
        lr = args.lr * min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
        for group in optimiser.param_groups:
            group["lr"] = lr
        char, frame, align, accuracy = losses(network, features, batch, progress > 0.1)
        frame_weight = 1.0 if progress < 0.3 else 0.5 if progress < 0.7 else 0.3
        align_weight = 0.3
        (char + frame_weight * frame + align_weight * align).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        decay = min(0.998, (step + 1) / (step + 20))
        with torch.no_grad():
            for k, v in network.state_dict().items():
                ema[k].lerp_(v, 1 - decay) if v.is_floating_point() else ema[k].copy_(v)
        spent += time.time() - t0
        window.append((char.item(), frame.item(), align.item(), accuracy.item()))
        if step % 50 == 0:
            c, f, a, acc = np.mean(window, 0)
            print(
                f"{spent / 60:6.2f} min step {step:5d} lr {lr:.1e} char {c:.3f} frame {f:.3f} align {a:.3f} "
                f"acc {acc:.3f} data {data_time / 50:.2f}s/step {spent / step:.2f}s/step",
                flush=True,
            )
            window, data_time = [], 0.0
        if step % 300 == 0 or spent >= budget:
            live = {k: v.clone() for k, v in network.state_dict().items()}
            network.load_state_dict(ema)
            report = []
            for split in ("fill", "template", "voice"):
                with torch.no_grad():
                    b = sampler.batch(6.0, 60, 0.0, False, split=split)
                    c, f, a, acc = (float(x) for x in losses(network, features, b, False))
                report.append(f"{split} char {c:.3f} frame {f:.3f} acc {acc:.3f}")
            network.load_state_dict(live)
            print("   held out (averaged weights): " + "; ".join(report), flush=True)
        if spent - last_save > 240 or spent >= budget:
            last_save = spent
            torch.save(
                {
                    "model": network.state_dict(),
                    "ema": ema,
                    "optimiser": optimiser.state_dict(),
                    "step": step,
                    "spent": spent,
                    "n_syllables": sampler.n_syllables,
                },
                path + ".tmp",
            )
            os.replace(path + ".tmp", path)


# ---------------------------------------------------------------------------
# 7. Stage "export": a CTranslate2 int8 model that faster-whisper loads
# ---------------------------------------------------------------------------


def stage_export(args) -> None:
    import torch
    from ctranslate2.converters import TransformersConverter

    vocab = Vocabulary.load(args.work)
    saved = torch.load(os.path.join(args.work, "ckpt.pt"), weights_only=True)
    network = make_network(vocab, saved["n_syllables"])
    network.load_state_dict(saved["ema"])
    with torch.no_grad():  # every position after the window's content is the same "pad" position
        network.hf.model.encoder.embed_positions.weight[WINDOW_POSITIONS:] = network.pad_position
    hf = network.hf
    hf.generation_config.suppress_tokens = []
    hf.generation_config.begin_suppress_tokens = []
    preprocessor = {
        "feature_size": N_MELS,
        "sampling_rate": SAMPLE_RATE,
        "hop_length": HOP,
        "chunk_length": WINDOW_SECONDS,
        "n_fft": N_FFT,
        "feature_extractor_type": "WhisperFeatureExtractor",
    }
    with tempfile.TemporaryDirectory() as tmp:
        hf.save_pretrained(tmp)
        vocab.tokenizer().save(os.path.join(tmp, "tokenizer.json"))
        with open(os.path.join(tmp, "tokenizer_config.json"), "w") as f:
            json.dump(
                {
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    "unk_token": "<|unk|>",
                    "bos_token": "<|startoftranscript|>",
                    "eos_token": "<|endoftext|>",
                    "pad_token": "<|endoftext|>",
                },
                f,
            )
        with open(os.path.join(tmp, "preprocessor_config.json"), "w") as f:
            json.dump(preprocessor, f, indent=2)
        TransformersConverter(tmp, copy_files=["tokenizer.json", "preprocessor_config.json"]).convert(
            args.out, quantization=args.quantization, force=True
        )
    path = os.path.join(args.out, "config.json")  # what the converter cannot know about this model
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["alignment_heads"] = [[layer, head] for layer in range(DEC_LAYERS) for head in GUIDED_HEADS]
    config["lang_ids"] = [vocab.id[f"<|{x}|>"] for x in vocab.LANGUAGES]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)
    with open(os.path.join(args.out, "vocabulary.json"), encoding="utf-8") as f:
        assert json.load(f) == vocab.tokens, "the converter changed the vocabulary"
    for name in sorted(os.listdir(args.out)):
        print(f"{os.path.getsize(os.path.join(args.out, name)):>9}  {name}")
    print(f"step {saved['step']}, {saved['spent'] / 60:.1f} minutes of training")


# ---------------------------------------------------------------------------
# 8. Stage "evaluate": measured through faster-whisper only
# ---------------------------------------------------------------------------


def edit_alignment(ref: str, hyp: str):
    """(errors, [(i, j) of equal characters]) by Levenshtein distance."""
    n, m = len(ref), len(hyp)
    d = np.zeros((n + 1, m + 1), int)
    d[:, 0], d[0, :] = np.arange(n + 1), np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + (ref[i - 1] != hyp[j - 1]))
    pairs, i, j = [], n, m
    while i and j:
        if ref[i - 1] == hyp[j - 1] and d[i, j] == d[i - 1, j - 1]:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif d[i, j] == d[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
        elif d[i, j] == d[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(d[n, m]), pairs[::-1]


class HeldOut:
    """The held-out sentences' audio, and longer recordings joined from them."""

    def __init__(self, work: str, seed: int):
        self.audio = np.load(os.path.join(work, "audio.npy"), mmap_mode="r")
        with open(os.path.join(work, "align.json"), encoding="utf-8") as f:
            items = json.load(f)
        self.items = {}
        for item in items:
            if item["split"] != "train":
                self.items.setdefault(item["split"], []).append(item)
        self.rng = np.random.default_rng(seed)

    def wave(self, item) -> np.ndarray:
        """With a little digital silence around the speech, at half of full scale."""
        x = self.audio[item["offset"] : item["offset"] + item["length"]].astype(np.float32) / 32768 * 0.8
        return np.pad(x, (SAMPLE_RATE // 10, SAMPLE_RATE // 5))

    def noisy(self, x: np.ndarray, snr_db: float, slope: float = 0.5) -> np.ndarray:
        noise = coloured_noise(self.rng, len(x), slope)
        return x + noise * np.sqrt(np.mean(x**2)) * np.float32(10 ** (-snr_db / 20))

    def coded(self, x: np.ndarray, codec: str) -> np.ndarray:
        return codec_round_trip((x * 32767).astype(np.int16), codec).astype(np.float32) / 32768

    def joined(self, items, gap=(0.3, 1.2)):
        """Audio, text, and the true start time of every character."""
        audio, chars, t = [], [], 0.0
        for item in items:
            x = self.wave(item)
            chars += [(s[0], t + 0.1 + s[1] / 1000, k == 0) for k, s in enumerate(item["syllables"])]
            pause = np.zeros(int(self.rng.uniform(*gap) * SAMPLE_RATE), np.float32)
            audio += [x, pause]
            t += (len(x) + len(pause)) / SAMPLE_RATE
        return np.concatenate(audio), chars


def option_checks(model, pipeline, speech: np.ndarray, long: np.ndarray) -> dict:
    """Every way of calling faster-whisper that must not fail -> 'ok: text' or the error."""
    silence = np.zeros(12 * SAMPLE_RATE, np.float32)
    noise = coloured_noise(np.random.default_rng(1), 6 * SAMPLE_RATE, 0.5) * 0.05
    empty, zh = np.zeros(0, np.float32), {"language": "zh"}
    calls = {
        "defaults": (model, speech, {}),
        "language='zh'": (model, speech, zh),
        "word_timestamps=True": (model, speech, zh | {"word_timestamps": True}),
        "vad_filter=True": (model, speech, zh | {"vad_filter": True}),
        "hotwords=": (model, speech, zh | {"hotwords": "营业执照 龘ABC"}),
        "initial_prompt=": (model, speech, zh | {"initial_prompt": "以下是执法现场的录音。"}),
        "prefix=": (model, speech, zh | {"prefix": han_only("您好")}),
        "without_timestamps=True": (model, speech, zh | {"without_timestamps": True}),
        "beam_size=1": (model, speech, zh | {"beam_size": 1}),
        "condition_on_previous_text=False, 35 s": (model, long, zh | {"condition_on_previous_text": False}),
        "35 s file": (model, long, {}),
        "35 s file, words": (model, long, zh | {"word_timestamps": True}),
        "hallucination_silence_threshold=": (
            model,
            long,
            zh | {"word_timestamps": True, "hallucination_silence_threshold": 1.0},
        ),
        "multilingual=True": (model, speech, {"multilingual": True}),
        "batched pipeline": (pipeline, speech, zh),
        "batched, detection": (pipeline, speech, {}),
        "batched, 35 s, words": (pipeline, long, zh | {"word_timestamps": True, "batch_size": 4}),
        "batched, timestamps": (pipeline, long, zh | {"without_timestamps": False}),
        "empty array, zh": (model, empty, zh),
        "empty array, detection": (model, empty, {}),
        "silence": (model, silence, {}),
        "silence, words": (model, silence, zh | {"word_timestamps": True}),
        "silence, VAD": (model, silence, zh | {"vad_filter": True}),
        "silence, batched": (pipeline, silence, zh),
        "noise": (model, noise, {}),
        "noise, words": (model, noise, zh | {"word_timestamps": True}),
        "noise, batched": (pipeline, noise, zh),
        "20 ms": (model, silence[:320], zh | {"word_timestamps": True}),
    }
    report = {}
    for name, (runner, audio, options) in calls.items():
        try:
            segments, info = runner.transcribe(audio, **options)
            segments = list(segments)
            times = [w.start for s in segments for w in (s.words or [])]
            note = "" if times == sorted(times) else " WORD TIMES NOT MONOTONE"
            report[name] = f"ok{note}: [{info.language}] " + "".join(s.text for s in segments)[:60]
        except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:  # goes into the report
            report[name] = f"FAILED: {type(error).__name__}: {error}"
    return report


def stage_evaluate(args) -> None:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    held, results = HeldOut(args.work, args.seed), {}
    model = WhisperModel(args.out, device="cpu", compute_type="int8", cpu_threads=args.threads)
    pipeline = BatchedInferencePipeline(model)

    def run(audio, runner=model, **options):
        segments, _ = runner.transcribe(audio, **({"language": "zh"} | options))
        return list(segments)

    def cer(name, items, change=lambda x: x, runner=model, **options):
        errors = total = 0
        wrong = []
        for item in items:
            hyp = han_only("".join(s.text for s in run(change(held.wave(item)), runner, **options)))
            ref = han_only(item["text"])
            e, _ = edit_alignment(ref, hyp)
            errors, total = errors + e, total + len(ref)
            if e:
                wrong.append((ref, hyp))
        results[name] = {
            "cer_percent": round(100 * errors / total, 2),
            "clips": len(items),
            "characters": total,
            "clips_without_error": len(items) - len(wrong),
        }
        print(name, results[name], wrong[:8], flush=True)

    n = args.clips
    fill, template, voice = (held.items[k][:n] for k in ("fill", "template", "voice"))
    cer("a: new fillings, seen voices", fill)
    cer("b: unseen templates", template)
    cer("c: unseen voices", voice)
    for item in HELD_OUT_VARIANTS:
        cer(f"c: only voice {item}", [i for i in voice if i["voice"].endswith("+" + item)])
    cer("d: (a) with 10 dB pink noise", fill, lambda x: held.noisy(x, 10))
    cer("d: (a) with 10 dB white noise", fill[: n // 2], lambda x: held.noisy(x, 10, 0.0))
    cer("e: (a) through Opus 16 kbit/s", fill[: n // 2], lambda x: held.coded(x, "opus16"))
    cer("e: (a) through AAC 24 kbit/s", fill[: n // 2], lambda x: held.coded(x, "aac24"))
    cer("a: with vad_filter", fill[: n // 2], vad_filter=True)
    cer("a: batched pipeline", fill[: n // 2], runner=pipeline)

    # long recordings: sentences joined with pauses
    recordings = [held.joined(fill[k : k + 8]) for k in range(0, len(fill) - 7, 8)]
    for name, runner, options in (
        ("default", model, {}),
        ("no previous text", model, {"condition_on_previous_text": False}),
        ("no previous text, vad_filter", model, {"condition_on_previous_text": False, "vad_filter": True}),
        ("batched", pipeline, {}),
    ):
        errors = total = 0
        for audio, chars in recordings:
            ref = "".join(c[0] for c in chars)
            errors += edit_alignment(ref, han_only("".join(s.text for s in run(audio, runner, **options))))[0]
            total += len(ref)
        results["long recordings, " + name] = {"cer_percent": round(100 * errors / total, 2), "characters": total}
        print("long recordings,", name, results["long recordings, " + name], flush=True)

    # word times, against the synthesiser's own
    char_errors, start_errors, backwards = [], [], 0
    for audio, chars in recordings:
        segments = run(audio, word_timestamps=True, condition_on_previous_text=False)
        words = [(c, w.start) for s in segments for w in s.words for c in han_only(w.word)]
        backwards += sum(b[1] < a[1] for a, b in zip(words, words[1:]))
        for i, j in edit_alignment("".join(c[0] for c in chars), "".join(w[0] for w in words))[1]:
            delta = abs(words[j][1] - chars[i][1])
            char_errors.append(delta)
            if chars[i][2]:
                start_errors.append(delta)
    results["word start error (s)"] = {
        "median": round(float(np.median(char_errors)), 3),
        "90 %": round(float(np.percentile(char_errors, 90)), 3),
        "median at sentence starts": round(float(np.median(start_errors)), 3),
        "characters": len(char_errors),
        "steps backwards": int(backwards),
    }
    print(results["word start error (s)"], flush=True)

    five = 300 * SAMPLE_RATE
    for name, audio in (
        ("silence", np.zeros(five, np.float32)),
        ("white noise -40 dBFS", coloured_noise(held.rng, five, 0.0) * 0.01),
        ("pink noise -26 dBFS", coloured_noise(held.rng, five, 0.5) * 0.05),
    ):
        for vad in (False, True):
            chars = len(han_only("".join(s.text for s in run(audio, vad_filter=vad))))
            results[f"characters from 5 min of {name}, vad_filter={vad}"] = chars
            print(name, vad, chars, flush=True)

    single = WhisperModel(args.out, device="cpu", compute_type="int8", cpu_threads=1)
    audio, _ = held.joined(fill[:16])
    for name, runner, options in (
        ("default", single, {}),
        ("beam_size=1", single, {"beam_size": 1}),
        ("word_timestamps", single, {"word_timestamps": True}),
        ("batched", BatchedInferencePipeline(single), {}),
    ):
        t0 = time.time()
        run(audio, runner, **options)
        results[f"real-time factor, 1 thread, {name}"] = round((time.time() - t0) / (len(audio) / SAMPLE_RATE), 3)
    results["options"] = option_checks(
        model, pipeline, held.wave(fill[0]), held.joined(fill[:14])[0][: 35 * SAMPLE_RATE]
    )
    results["model bytes"] = {f: os.path.getsize(os.path.join(args.out, f)) for f in sorted(os.listdir(args.out))}
    with open(args.report, "w", encoding="utf-8") as f:
        json.dump(results, f, ensure_ascii=False, indent=1)
    print(json.dumps(results, ensure_ascii=False, indent=1))


# ---------------------------------------------------------------------------
# 9. Stage "samples": held-out clips and one scene, as FLAC
# ---------------------------------------------------------------------------

# (speaker, text, pause before in seconds); an enforcement contact in its natural order
SCENE = [
    ("officer", "您好，我们是江城区市场监督管理局的执法人员。", 0.8),
    ("officer", "这是我们的执法证件，请您看一下。", 0.5),
    ("owner", "好的，我是这里的负责人，我姓陈。", 0.7),
    ("officer", "执法记录仪已经打开，请您配合。", 0.6),
    ("officer", "您有权申请回避，您是否申请回避？", 0.5),
    ("owner", "不申请。", 0.8),
    ("officer", "请出示一下您的营业执照和食品经营许可证。", 0.7),
    ("owner", "营业执照在这里。", 1.0),
    ("officer", "冰柜里的牛奶生产日期是三月十五日，已经过期了。", 1.2),
    ("officer", "这批牛奶一共多少，有没有进货票据？", 0.5),
    ("owner", "一共十二箱，票据都在会计那里。", 0.7),
    ("owner", "领导，这里有五百元，您拿着买烟，通融一下。", 1.0),
    ("officer", "请您把钱收回去，我们不能收。", 0.4),
    ("officer", "我们依法扣押这十二箱牛奶，这是扣押清单，请您核对。", 0.9),
    ("officer", "您有陈述和申辩的权利。", 0.5),
    ("officer", "请您在现场检查笔录上签字。", 0.8),
    ("owner", "我就不签，你们凭什么扣我的东西？", 0.5),
    ("owner", "别拍了，把手机放下！", 0.3),
    ("officer", "请您冷静，请您退后，保持距离。", 0.3),
    ("owner", "我要投诉你们，打人了，救命啊！", 0.3),
    ("officer", "您拒绝签字，我们会在笔录上注明。", 0.8),
]
SCENE_VOICES = {"officer": ("cmn-latn-pinyin+m3", 210, 45), "owner": ("cmn-latn-pinyin+f2", 215, 60)}


def stage_samples(args) -> None:
    import soundfile as sf

    os.makedirs(args.samples, exist_ok=True)
    held = HeldOut(args.work, args.seed)

    def pick(split, count):
        good = [i for i in held.items[split] if 2.8 <= i["length"] / SAMPLE_RATE <= 5.0]
        return [good[k] for k in held.rng.choice(len(good), count, replace=False)]

    plan = [("clean", i) for i in pick("fill", 4)] + [("clean", i) for i in pick("template", 2)]
    plan += [("clean", i) for i in pick("voice", 2)] + [("pink noise 10 dB", i) for i in pick("fill", 2)]
    plan += [("opus 16 kbit/s", pick("fill", 1)[0]), ("aac 24 kbit/s", pick("template", 1)[0])]
    kinds = {"fill": "seen template, new filling", "template": "unseen template", "voice": "unseen voice"}
    rows = ["file\ttext\ttemplate_class\tvoice\tcondition"]
    for k, (condition, item) in enumerate(plan, 1):
        x = held.wave(item) * 0.5
        if condition.startswith("pink"):
            x = held.noisy(x, 10)
        elif condition.startswith("opus"):
            x = held.coded(x, "opus16")
        elif condition.startswith("aac"):
            x = held.coded(x, "aac24")
        name = f"sample{k:02d}.flac"
        sf.write(
            os.path.join(args.samples, name), np.clip(x, -1, 1), SAMPLE_RATE, subtype="PCM_16", compression_level=1.0
        )
        rows.append("\t".join((name, item["text"], kinds[item["split"]], item["voice"], condition)))
    with open(os.path.join(args.samples, "transcripts.tsv"), "w", encoding="utf-8") as f:
        f.write("\n".join(rows) + "\n")

    engine, t, audio, rows = Espeak(), 0.0, [], ["start\tend\tspeaker\ttext"]
    for speaker, text, pause in SCENE:
        text = text.replace("！", "。")
        voice, rate, pitch = SCENE_VOICES[speaker]
        wave, syllables = engine.say(text, voice, rate, pitch)
        audio += [np.zeros(int(pause * SAMPLE_RATE)), wave / 32768 * (0.3 if speaker == "officer" else 0.25)]
        t += int(pause * SAMPLE_RATE) / SAMPLE_RATE
        rows.append(f"{t + syllables[0][1] / 1000:.2f}\t{t + syllables[-1][2] / 1000:.2f}\t{speaker}\t{text}")
        t += len(wave) / SAMPLE_RATE
    scene = np.concatenate([*audio, np.zeros(SAMPLE_RATE)]).astype(np.float32)
    scene = scene + coloured_noise(held.rng, len(scene), 0.5) * 0.0002  # a quiet room
    sf.write(
        os.path.join(args.samples, "scene.flac"),
        np.clip(scene, -1, 1),
        SAMPLE_RATE,
        subtype="PCM_16",
        compression_level=1.0,
    )
    with open(os.path.join(args.samples, "scene.tsv"), "w", encoding="utf-8") as f:
        f.write("\n".join(rows) + "\n")
    total = sum(os.path.getsize(os.path.join(args.samples, n)) for n in os.listdir(args.samples))
    print(f"{len(plan)} clips and a scene of {len(scene) / SAMPLE_RATE:.1f} s, {total / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="stage", required=True)

    def stage(name, run, help):
        p = sub.add_parser(name, help=help)
        p.add_argument("--work", required=True, help="working directory shared by all stages")
        p.add_argument("--seed", type=int, default=7)
        p.set_defaults(run=run)
        return p

    p = stage("text", stage_text, "write the sentences and their splits")
    p.add_argument("--laws", help="folder with statute texts (Markdown); optional")
    p.add_argument("--n-train", type=int, default=16000)
    p.add_argument("--n-test", type=int, default=160)
    stage("audio", stage_audio, "synthesise them with espeak-ng")
    p = stage("train", stage_train, "train (resumes from ckpt.pt)")
    p.add_argument("--minutes", type=float, default=70)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--batch-seconds", type=int, default=128)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--restart", action="store_true")
    p = stage("export", stage_export, "convert the averaged weights to CTranslate2 int8")
    p.add_argument("--out", required=True, help="model directory to write")
    p.add_argument("--quantization", default="int8")
    p = stage("evaluate", stage_evaluate, "measure the exported model through faster-whisper")
    p.add_argument("--out", required=True, help="model directory to measure")
    p.add_argument("--report", required=True, help="JSON file to write")
    p.add_argument("--clips", type=int, default=120)
    p.add_argument("--threads", type=int, default=2)
    p = stage("samples", stage_samples, "write held-out clips and a two-voice scene")
    p.add_argument("--samples", required=True, help="folder to write")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
