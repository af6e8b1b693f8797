"""A busy afternoon, scene by scene: what `demo --script` plays. Only a table; steps.py says what each step is.

Of the seed's customers 小林 waits from the start, and 许愿 at the end: their cards are left to the viewer.
"""

from .seed import AFTERSALES, PRESALES
from .steps import (
    Answers,
    Ends,
    Leaps,
    Passes,
    Reaches,
    Rests,
    Routes,
    Scene,
    SeesCard,
    SeesList,
    SeesPicture,
    Takes,
    Taps,
    Types,
    Writes,
)

CHEN, ZHANG, LI, WANG = "ChenJing", "ZhangSuQuan", "LiNa", "WangWei"
LENGTH = 30
"""Minutes of the sandbox's clock from the first scene to closing time, when the report is due."""

# Nickname → the account the customer writes to.
CAST = {
    "小林": PRESALES,
    "顾南": PRESALES,
    "方糖": AFTERSALES,
    "晓彤": PRESALES,
    "苏打": AFTERSALES,
    "大鹏": PRESALES,
    "阿澈": PRESALES,
    "周周": PRESALES,
    "老杨": PRESALES,
    "木子": PRESALES,
    "阿远": PRESALES,
    "朵朵": PRESALES,
    "小满": PRESALES,
    "许愿": PRESALES,
}

SCENES = (
    Scene(
        ("开工", "Good afternoon"),
        (
            "小林已经等了将近半小时，机器人一上线就提醒。这张卡片没有人会动，留给你点",
            "小林 has waited for almost half an hour; the bot says so at once. Nobody touches that card: it is yours",
        ),
        (
            Rests(1.0),
            Types(CHEN, "/status"),
            SeesCard("小林"),
            Rests(1.0),
        ),
    ),
    Scene(
        ("有问有答", "Asked and answered"),
        (
            "有人回复的客户，机器人一声不响，只做记录；接待人员结束时，由它发结束语",
            "Customers who get answers: the bot keeps quiet and takes notes, and says goodbye when a servicer ends",
        ),
        (
            Writes("顾南", "你好，昨天下的单今天能发出吗？"),
            Takes(LI, "顾南"),
            Answers(LI, "顾南", "您好，已经打包好了，今天 18 点前发出。"),
            Writes("方糖", "发票抬头写错了，可以重开吗？"),
            Takes(WANG, "方糖"),
            Answers(WANG, "方糖", "可以的，请把正确的抬头发给我。"),
            Writes("顾南", "太好了，谢谢！"),
            Ends(LI, "顾南"),
            Writes("方糖", "好，我问一下财务"),
            Answers(WANG, "方糖", "好的，我等您消息。"),
        ),
    ),
    Scene(
        ("忘了回", "Forgotten"),
        (
            "李娜接入了晓彤，却去忙别的。五分钟后机器人发卡片，李娜点「跟进」",
            "李娜 took 晓彤's session and was called away. After five minutes a card comes, and she taps Take it",
        ),
        (
            Writes("晓彤", "请问这款有 38 码吗？"),
            Takes(LI, "晓彤"),
            Passes(5.5),
            Taps(LI, "ack", "晓彤"),
            Answers(LI, "晓彤", "抱歉久等，38 码还有两双，需要帮您留吗？"),
            Writes("晓彤", "要一双，我现在下单"),
            Answers(LI, "晓彤", "好的，已经为您留好。"),
            Ends(LI, "晓彤"),
        ),
    ),
    Scene(
        ("排队", "In the queue"),
        (
            "售后改为排队接入。苏打排了三分钟没人接，王伟手上正忙，点「稍后」",
            "After-sales now queues. 苏打 has queued for three minutes; 王伟 is busy and taps Snooze",
        ),
        (
            Routes(AFTERSALES, "queue"),
            Writes("苏打", "收到的杯子碎了一只，怎么换？"),
            Passes(3.5),
            Taps(WANG, "snooze", "苏打"),
            Takes(WANG, "苏打"),
            Answers(WANG, "苏打", "非常抱歉！马上给您补寄一只，碎的不用寄回。"),
            Routes(AFTERSALES, "assistant"),
        ),
    ),
    Scene(
        ("该结束了", "Time to end it"),
        (
            "大鹏道过谢就走了，会话还挂在人工。张素泉在卡片上点「结束」，客户收到结束语",
            "大鹏 said thanks and left, the session stayed open. 张素泉 taps End on the card; 大鹏 gets a goodbye",
        ),
        (
            Writes("大鹏", "企业版和标准版差在哪里？"),
            Takes(ZHANG, "大鹏"),
            Answers(ZHANG, "大鹏", "企业版多了权限和审计，对比表发您邮箱了。"),
            Writes("大鹏", "收到，我先看看，谢谢"),
            Passes(5.5),
            Taps(ZHANG, "end", "大鹏"),
            Rests(2.0),
        ),
    ),
    Scene(
        ("高峰", "Rush hour"),
        (
            "优惠券出了故障，七位客户同时来问，没人顾得上。机器人不刷屏，只发一张汇总卡片",
            "A voucher is broken: seven customers at once, nobody answers. The bot sends one card with all of them",
        ),
        (
            Routes(PRESALES, "human"),
            Writes("阿澈", "在吗？券怎么用不了"),
            Writes("周周", "优惠券显示已过期，可今天才领的"),
            Writes("老杨", "下单没有减钱"),
            Writes("木子", "付了两次款，帮我看看"),
            Writes("阿远", "活动到几点？券点不动"),
            Writes("朵朵", "还有库存吗，券用不了"),
            Writes("小满", "有人吗，急！"),
            Passes(3.5),
            Leaps(2),
            SeesList(),
            Types(CHEN, "/list"),
            Answers(LI, "阿澈", "已经修好，刷新一下就能用，抱歉！"),
            Answers(WANG, "周周", "系统故障已修复，您再试试。"),
            Answers(ZHANG, "老杨", "差价已原路退回，请查收。"),
            Answers(LI, "木子", "多付的一笔今天退回。"),
            Answers(WANG, "阿远", "活动延长到今晚 12 点，券也好了。"),
            Answers(ZHANG, "朵朵", "有货的，券现在可以用了。"),
            Answers(LI, "小满", "在的，让您久等了，请讲。"),
            Routes(PRESALES, "assistant"),
        ),
    ),
    Scene(
        ("一句话结束", "Ended by a word"),
        (
            "王伟在群里发一句 /end，方糖的会话就结束了；小满自己发「结束对话」，也结束了，群里都知道",
            "王伟 types /end and 方糖's session ends; 小满 writes 结束对话 (end) and it ends too, the group is told",
        ),
        (
            Answers(WANG, "方糖", "发票已重开，发到您邮箱了。"),
            Types(WANG, "/end {方糖} 发票已重开"),
            Writes("小满", "券能用了，谢谢"),
            Writes("小满", "结束对话"),
            Rests(2.0),
        ),
    ),
    Scene(
        ("看统计", "The numbers"),
        (
            "陈静发 /stats：今天处理了多少、平均等多久、是谁结束的，随后是一张图，点开看大图",
            "陈静 asks for /stats: how many, how long they waited, who ended them; then a picture, a click enlarges it",
        ),
        (
            Types(CHEN, "/stats"),
            SeesPicture(),
        ),
    ),
    Scene(
        ("日报", "The daily report"),
        (
            "快收工了，许愿又来问。到了日报时间，机器人自己把今天的数字和图发到群里",
            "许愿 comes late. When the report is due, the bot posts the day's numbers and the picture by itself",
        ),
        (
            Writes("许愿", "想问问团购价，二十份起"),
            Takes(ZHANG, "许愿"),
            Reaches(LENGTH),
            SeesPicture(),
        ),
    ),
    Scene(
        ("轮到你了", "Your turn"),
        (
            "小林和许愿还在等，他们的卡片没有人动过：点「结束」「稍后」或「跟进」试试",
            "小林 and 许愿 still wait and nobody has touched their cards: tap End, Snooze or Take it",
        ),
        (
            Passes(1.5),
            SeesCard("许愿"),
            Rests(3.0),
        ),
    ),
)
