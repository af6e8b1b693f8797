// Entry: holds the latest snapshot, hands it to the three panes, and looks after the header and the tabs.

import { post, subscribe } from './api.js';
import { createClock } from './clock.js';
import { createCoach } from './coach.js';
import { customerPane } from './customer.js';
import { $, toast } from './dom.js';
import { groupPane } from './group.js';
import { lastAt } from './people.js';
import { createScript } from './script.js';
import { servicerPane } from './servicer.js';
import { language, switchLanguage, t, translate } from './words.js';

const AGES = { calm: 15000, fast: 1000 };
let state = null;
let received = 0;
let drawn = 0;
let linked = null;

const ctx = {
  state: () => state,
  now: () => state.now + ((Date.now() - received) / 1000) * state.speed,
  refresh,
  async act(path, body) {
    try {
      const reply = await post(path, body);
      if (reply.ok) return reply;
      toast(reply.error || t('failed'));
    } catch {
      toast(t('network'));
    }
    return null;
  },
};

function newestServed() {
  return state.sessions.filter((one) => one.service_state === 3).sort((a, b) => lastAt(b) - lastAt(a))[0];
}

const values = () => ({ bot: state?.bot.name ?? 'kfbot' });

ctx.coach = createCoach({
  write() { open('customer'); panes.customer.greet(); },
  take() { open('servicer'); panes.servicer.showNewest(); },
  end() {
    open('group');
    panes.group.fill(`/end ${newestServed()?.external_userid ?? ''}`);
  },
  read() { open('group'); panes.group.fill('/history'); },
}, values);

const clock = createClock(ctx);
const script = createScript(ctx);
const panes = { customer: customerPane(ctx), group: groupPane(ctx), servicer: servicerPane(ctx) };
const narrow = () => getComputedStyle($('#tabs')).display !== 'none';
const tabs = [...document.querySelectorAll('[data-tab]')];
const seen = {};

function open(name) {
  document.body.dataset.open = name;
  for (const tab of tabs) tab.setAttribute('aria-current', String(tab.dataset.tab === name));
  if (state) refresh();
}

function drawTabs() {
  for (const tab of tabs) {
    const name = tab.dataset.tab;
    const count = panes[name].unread(state);
    if (!narrow() || name === document.body.dataset.open || seen[name] === undefined) seen[name] = count;
    $('.dot', tab).hidden = count <= seen[name];
  }
}

function drawBadge() {
  const badge = $('#bot-connected');
  const word = linked === false ? 'pageOff' : state?.bot.connected ? 'botOn' : 'botOff';
  badge.dataset.connected = String(word === 'botOn');
  badge.hidden = linked !== false && !state;
  badge.title = t(`${word}Hint`);
  $('#bot-connected-text').textContent = t(word);
}

function drawConsole() {
  const link = $('#console-link');
  link.hidden = !state.bot.page;
  if (state.bot.page) link.href = state.bot.page;
}

function refresh() {
  drawn = Date.now();
  for (const pane of Object.values(panes)) pane.update(state);
  drawTabs();
  drawBadge();
  drawConsole();
  clock.draw();
  script.draw();
}

function relabel() {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  document.title = t('title');
  translate(document, values());
  ctx.coach.draw();
  drawBadge();
  if (state) refresh();
}

for (const tab of tabs) tab.addEventListener('click', () => open(tab.dataset.tab));
$('#lang-switch').addEventListener('click', () => { switchLanguage(); relabel(); });
$('#toast').addEventListener('click', () => { $('#toast').hidden = true; });

relabel();
open('customer');
setInterval(() => { if (state && Date.now() - drawn >= AGES[state.speed > 1 ? 'fast' : 'calm']) refresh(); }, AGES.fast);
subscribe((snapshot) => {
  const before = state;
  state = snapshot;
  received = Date.now();
  document.body.dataset.ready = 'true';
  if (!snapshot.script) ctx.coach.observe(before, snapshot);
  else if (!before?.script && narrow()) open('group');
  if (before?.bot.name !== snapshot.bot.name) relabel();
  else refresh();
}, (up) => {
  linked = up;
  drawBadge();
});
