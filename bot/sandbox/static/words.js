// Every text of the page, in Chinese and English, and the current language.

const WORDS = {
  zh: {
    title: 'kfbot 演示 · 企业微信客服机器人',
    console: '客服工作台',
    tagline: '一个人演三方：客户、接待人员、群成员',
    otherLang: 'English', otherLangLabel: 'Switch to English',
    tryFirst: '先试试', restart: '重来', restartLabel: '重新开始引导',
    stepWrite: '客户发消息', stepTake: '接待人员接入', stepEnd: '群里输入 @{bot} /end …', stepRead: '用 /history 看记录',
    stepsDone: '都走通了。再试试：告警卡片上的按钮、客户发「结束对话」、/list',
    botOn: '机器人在线', botOff: '机器人未连接', pageOff: '页面断线，重连中',
    botOnHint: 'kfbot 已用长连接连上这个群', botOffHint: 'kfbot 还没有连上群；群消息暂时没有人听', pageOffHint: '与沙箱的连接断开，正在自动重连',
    tabs: '三个角色', customerTab: '客户', groupTab: '内部群', servicerTab: '接待', unread: '有新消息',
    customerTitle: '客户的微信', groupTitle: '企业微信内部群', servicerTitle: '接待人员的企业微信',
    playing: '扮演', account: '客服账号', customer: '客户', member: '群成员', group: '群', servicer: '接待人员',
    newCustomer: '新客户', nickname: '昵称', create: '创建', nicknames: '小雨,阿杰,林晓,陈露,Mia,王一凡,周周,Leo',
    customerPlaceholder: '发消息给客服…', customerEndedPlaceholder: '会话已结束，再发消息就开始新的会话', groupPlaceholder: '@{bot} 加命令，回车发送',
    servicerPlaceholder: '回复客户…', servicerLockedPlaceholder: '接入后才能回复', servicerReopenPlaceholder: '已结束，发消息会重新打开会话', send: '发送', message: '消息',
    greeting: '你好，订单什么时候发货？', chipHuman: '转人工', chipEnd: '结束对话',
    emptyCustomer: '还没有消息', emptyCustomerHint: '在下面写一句话，就是客户在微信里找客服。',
    emptyGroup: '群里还没有消息', emptyGroupHint: '点下面的 /help 再回车，机器人会回答能做什么。',
    emptySessions: '还没有会话', emptySessionsHint: '客户一发消息，会话就出现在这里。',
    emptySessionChat: '客户还没有说话', emptySessionChatHint: '客户进入了会话，消息会出现在这里。',
    noMention: '没有 @{bot}，机器人听不到这条消息', members: '{n} 位成员', singleChat: '单聊', bot: '机器人', webhook: '消息推送', assistant: '智能助手', system: '系统',
    quote: '引用', quoteOf: '引用 {who}：', cancelQuote: '取消引用', insert: '填入输入框', image: '图片', closeImage: '关闭图片', card: '卡片',
    cardUpdated: '卡片已更新', cardWaiting: '等待机器人回应…', cardSilent: '机器人 5 秒内没有回应，卡片没有变',
    newMessages: '新消息', sessions: '会话', accountSettings: '账号设置', routing: '新会话', routeAssistant: '智能助手优先', routeHuman: '人工优先', routeQueue: '进入排队',
    receiving: '接待中', stopped: '停止接待', receivingLabel: '接待状态',
    state0: '新', state1: '智能助手', state2: '排队', state3: '人工', state4: '已结束',
    servedBy: '{who} 接待', unserved: '无人接待', servedByMe: '我在接待', waiting: '等回复',
    take: '接入', transfer: '转接', transferTo: '转接给', noOne: '没有其他接待人员', end: '结束会话', actAs: '以 {who} 身份操作', busy: '停止接待',
    loading: '正在连接沙箱…', failed: '没有成功', network: '连不上沙箱，请确认 make demo 还在运行',
    clockLabel: '沙箱时间', speed: '时间流速', leap: '+{n} 分钟', clockHeld: '自动演示时，时间由剧本控制',
    scene: '自动演示 {n}/{of}', stop: '停止', stopLabel: '停止自动演示', directChat: '{who} 和 {bot} 单聊…', zoom: '放大 / 缩小',
    now: '刚刚', minutes: '{n} 分钟前', hours: '{n} 小时前', days: '{n} 天前', yesterday: '昨天', viaApi: 'API 发送',
  },
  en: {
    title: 'kfbot demo · WeCom customer service bot',
    console: 'Console',
    tagline: 'Play all three parts: customer, servicer, group member',
    otherLang: '中文', otherLangLabel: '切换到中文',
    tryFirst: 'Try first', restart: 'Again', restartLabel: 'Restart the guide',
    stepWrite: 'Customer writes', stepTake: 'Servicer takes it', stepEnd: 'In the group: @{bot} /end …', stepRead: 'See /history',
    stepsDone: 'All done. Next: tap a button on an alert card, let the customer say 结束对话, try /list',
    botOn: 'Bot online', botOff: 'Bot not connected', pageOff: 'Page offline, retrying',
    botOnHint: 'kfbot is connected to this group over its long connection', botOffHint: 'kfbot is not connected to the group; nobody hears the messages there', pageOffHint: 'The link to the sandbox is down; reconnecting',
    tabs: 'Three parts', customerTab: 'Customer', groupTab: 'Group', servicerTab: 'Servicer', unread: 'new messages',
    customerTitle: "Customer's WeChat", groupTitle: 'WeCom internal group', servicerTitle: "Servicer's WeCom",
    playing: 'Act as', account: 'Service account', customer: 'Customer', member: 'Group member', group: 'Group', servicer: 'Servicer',
    newCustomer: 'New', nickname: 'Nickname', create: 'Create', nicknames: 'Alice,Ben,Chloe,Daniel,Emma,Finn,Grace,Hugo',
    customerPlaceholder: 'Message the service…', customerEndedPlaceholder: 'Ended; write to start anew', groupPlaceholder: '@{bot} and a command, Enter sends',
    servicerPlaceholder: 'Reply to the customer…', servicerLockedPlaceholder: 'Take the session to reply', servicerReopenPlaceholder: 'Ended; writing reopens it', send: 'Send', message: 'Message',
    greeting: 'When will my order ship?', chipHuman: '转人工 (human)', chipEnd: '结束对话 (end)',
    emptyCustomer: 'No messages yet', emptyCustomerHint: 'Write a line below: that is the customer asking for service in WeChat.',
    emptyGroup: 'No messages in the group yet', emptyGroupHint: 'Pick /help below and press Enter; the bot answers what it can do.',
    emptySessions: 'No sessions yet', emptySessionsHint: 'A session appears as soon as a customer writes.',
    emptySessionChat: 'Nothing said yet', emptySessionChatHint: 'The customer has opened the chat; messages will appear here.',
    noMention: 'Without @{bot} the bot does not hear this', members: '{n} members', singleChat: 'Direct chat', bot: 'Bot', webhook: 'Webhook', assistant: 'Assistant', system: 'System',
    quote: 'Quote', quoteOf: 'Quoting {who}: ', cancelQuote: 'Remove quote', insert: 'Put into the input', image: 'Image', closeImage: 'Close image', card: 'Card',
    cardUpdated: 'Card updated', cardWaiting: 'Waiting for the bot…', cardSilent: 'No answer from the bot within 5 s; the card is unchanged',
    newMessages: 'New messages', sessions: 'Sessions', accountSettings: 'Account settings', routing: 'New sessions', routeAssistant: 'Assistant first', routeHuman: 'Human first', routeQueue: 'Into the queue',
    receiving: 'Receiving', stopped: 'Paused', receivingLabel: 'Receiving status',
    state0: 'New', state1: 'Assistant', state2: 'Queued', state3: 'Human', state4: 'Ended',
    servedBy: 'with {who}', unserved: 'nobody serves', servedByMe: 'with me', waiting: 'waiting',
    take: 'Take', transfer: 'Transfer', transferTo: 'Transfer to', noOne: 'No other servicer', end: 'End session', actAs: 'Act as {who}', busy: 'paused',
    loading: 'Connecting to the sandbox…', failed: 'That did not work', network: 'The sandbox does not answer; is make demo still running?',
    clockLabel: 'Sandbox time', speed: 'Speed of time', leap: '+{n} min', clockHeld: 'While the script plays, it moves the clock',
    scene: 'Playing {n}/{of}', stop: 'Stop', stopLabel: 'Stop the script', directChat: '{who} and {bot} alone…', zoom: 'Zoom in / out',
    now: 'now', minutes: '{n} min ago', hours: '{n} h ago', days: '{n} d ago', yesterday: 'yesterday', viaApi: 'via API',
  },
};

const KEY = 'kfbot.lang';

function stored() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}

function preferred() {
  const first = (navigator.languages && navigator.languages[0]) || navigator.language || 'zh';
  return first.toLowerCase().startsWith('en') ? 'en' : 'zh';
}

let lang = WORDS[stored()] ? stored() : preferred();

export function language() {
  return lang;
}

export function switchLanguage() {
  lang = lang === 'zh' ? 'en' : 'zh';
  try { localStorage.setItem(KEY, lang); } catch { /* private mode: the choice lasts for this page */ }
}

export function t(key, values = {}) {
  return WORDS[lang][key].replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// Static parts of index.html name their word in data-t (text), data-t-label (aria-label, and tooltip of a button) or data-t-hint (placeholder).
export function translate(root, values) {
  for (const node of root.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t, values);
  for (const node of root.querySelectorAll('[data-t-hint]')) node.placeholder = t(node.dataset.tHint, values);
  for (const node of root.querySelectorAll('[data-t-label]')) {
    node.setAttribute('aria-label', t(node.dataset.tLabel, values));
    if (node.tagName === 'BUTTON') node.title = t(node.dataset.tLabel, values);
  }
}

function clock(date) {
  return date.toLocaleTimeString('zh-CN', { hour: '2-digit', minute: '2-digit', hour12: false });
}

export function timeOfDay(seconds) {
  return clock(new Date(seconds * 1000));
}

export function when(seconds, now) {
  const date = new Date(seconds * 1000);
  const today = new Date(now * 1000);
  const days = Math.round((new Date(today).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 864e5);
  if (days === 0) return clock(date);
  if (days === 1) return `${t('yesterday')} ${clock(date)}`;
  return `${date.toLocaleDateString(lang === 'zh' ? 'zh-CN' : 'en-GB', { month: 'short', day: 'numeric' })} ${clock(date)}`;
}

export function age(seconds, now) {
  const past = Math.max(0, now - seconds);
  if (past < 60) return t('now');
  if (past < 3600) return t('minutes', { n: Math.floor(past / 60) });
  if (past < 86400) return t('hours', { n: Math.floor(past / 3600) });
  return t('days', { n: Math.floor(past / 86400) });
}
