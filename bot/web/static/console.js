// The agents' console: every open handoff in a table that follows the bot live. This file puts the parts together.

import { createActions, saidOf } from './actions.js';
import { ApiError, ask, call, lastEvent } from './api.js';
import { everySecond } from './clocks.js';
import { copied } from './copying.js';
import { $, setText } from './dom.js';
import { createDrawer } from './drawer.js';
import { createEnded } from './ended.js';
import { createEnds } from './ends.js';
import { showEntry } from './entry.js';
import { choose, KINDS, matches, toAddress } from './filters.js';
import { createHandoffs } from './handoffs.js';
import { listenToKeys, showKeys } from './keys.js';
import { listen } from './live.js';
import { plain } from './names.js';
import { createNotes } from './notes.js';
import * as opening from './opening.js';
import { createReading } from './reading.js';
import { addOthers, refreshNumbers, relabelOthers } from './side.js';
import { createTable } from './table.js';
import { createTools } from './tools.js';
import { switchLanguage, t, translate } from './words.js';

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;
const COUNTED = ['HANDOFF_COMPLETED', 'HANDOFF_REQUESTED']; // they change today's numbers

const page = { me: null, socket: null, stopTicking() {}, isUp: false, isLate: false, isPartial: false, isDrawn: false };
const named = Number(new URLSearchParams(location.search).get('handoff'));

const handoffs = createHandoffs();
const find = handoffs.get;
const notes = createNotes($('#notes'));
const tools = createTools({ onChange: () => show(true) });
const isBusy = (id) => actions.isBusy(id);
const table = createTable({ table: $('#table'), scroller: $('#scroller'), find, isBusy, onStale: () => show(false) });
const drawer = createDrawer({
  find, isBusy, saidOf, onAct: (name, handoff) => actions.act(name, handoff), onCopy: copy, onOpened: opened, onLost: table.focus, onRefused: expired,
});
const ended = createEnded(drawer.open);
const ends = createEnds(told);
const reading = createReading({ handoffs, onRead: read, onOver: (handoff) => leave(handoff, true), onTrouble: late });
const actions = createActions({
  isOver: handoffs.isOver, notes, onBusy, onEnded: (handoff) => leave(handoff, true), onChanged: changed, onSnoozed: snoozed, onGone: reading.hear, onRefused: expired,
});

// -- what is shown

function show(anew) {
  const { counts, shown } = choose(handoffs.all(), tools.chosen());
  tools.know(counts, [...handoffs.all()].map((each) => each.agentId));
  table.show(shown.map((each) => each.id), anew);
  toAddress(tools.chosen(), { handoff: drawer.shows() });
  document.title = counts.waiting ? `(${counts.waiting}) ${t('console.title')}` : t('console.title');
  drawEmpty(shown.length);
}

function drawEmpty(count) {
  $('#empty').hidden = count > 0;
  setText($('#empty p'), t(tools.isFiltered() ? 'console.empty.filtered' : 'console.empty'));
  $('#empty button').hidden = !tools.isFiltered();
  $('#partial').hidden = !page.isPartial;
  setText($('#partial'), page.isPartial ? t('console.partial') : '');
}

function drawFrame() {
  setText($('#who'), `${plain(page.me.userId)} · ${t(`console.role.${page.me.role}`)}`);
  const state = page.isUp && !page.isLate ? 'live' : 'lost';
  $('#link').dataset.state = state;
  setText($('#link span'), t(`console.link.${state}`));
}

function relabel() {
  switchLanguage();
  translate();
  if (!page.me) return;
  drawFrame();
  tools.draw();
  table.relabel();
  drawer.draw();
  ended.draw();
  relabelOthers();
  show(true);
}

// -- what is learnt

function read({ ids, news, partial = page.isPartial }) {
  page.isPartial = partial;
  show(false);
  for (const id of ids) table.update(id, news.includes(id));
  for (const id of news) drawer.refresh(id);
  if (!page.isDrawn) afterPaint(firstDrawn);
  page.isDrawn = true;
}

function firstDrawn() {
  performance.mark('kfbot-rows');
  addOthers(() => page.me.accounts);
  if (Number.isSafeInteger(named) && named > 0) drawer.open(named);
}

// A frame begins, is painted, and the next task runs.
const afterPaint = (work) => requestAnimationFrame(() => setTimeout(work));

function onEvent({ type, payload }) {
  const id = payload.handoffRequestId;
  if (type === 'HANDOFF_COMPLETED') leave({ ...find(id), ...payload, id, status: 'COMPLETED' }, false);
  else if (!handoffs.isOver(id)) reading.hear(id);
  if (COUNTED.includes(type)) refreshNumbers();
}

// `isWhole`: as it was read after its end.
function leave(handoff, isWhole) {
  const { id } = handoff;
  const known = find(id);
  if (handoffs.end(id)) {
    ends.add(handoff, isWhole, matches({ ...known, ...handoff }, tools.chosen()));
    actions.drop(id);
    if (table.has(id)) table.leave(id, known, () => show(false));
    show(false);
  }
  drawer.refresh(id);
}

function told(over, notices) {
  ended.add(over);
  notices.forEach((notice) => notes.say(notice));
}

function changed(handoff) {
  handoffs.put(handoff, handoffs.begin());
  show(false);
  table.update(handoff.id, true);
  drawer.refresh(handoff.id);
}

function snoozed(id, snoozedUntil) {
  handoffs.change(id, { snoozedUntil });
  table.update(id, false);
  drawer.refresh(id);
}

function onBusy(id) {
  table.update(id, false);
  if (drawer.shows() === id) drawer.draw();
}

// error: an answer that was due has not come; null: it has.
function late(error) {
  page.isLate = Boolean(error);
  drawFrame();
  if (error instanceof ApiError && error.status === 401) expired();
  else if (!error) drawer.refresh();
}

function onLink(isUp) {
  page.isUp = isUp;
  drawFrame();
}

function tick() {
  table.tick();
  drawer.tick();
}

// -- what somebody does

async function copy(text) {
  notes.say(t(await copied(text) ? 'console.copied' : 'console.copy.failed'));
}

function opened(id) {
  table.mark(id);
  toAddress(tools.chosen(), { handoff: id });
}

// A click on a row opens it, unless it was meant for a button, or for marking words.
function onRow(event) {
  const row = event.target.closest('[data-handoff-id]');
  const handoff = row && find(Number(row.dataset.handoffId));
  if (!handoff) return;
  const button = event.target.closest('[data-act]');
  const isMarking = String(getSelection()) !== '';
  if (button) pressed(button.dataset.act, handoff);
  else if (!isMarking) drawer.open(handoff.id);
}

function pressed(act, handoff) {
  if (act === 'copy') copy(handoff.userId);
  else actions.act(act, handoff);
}

const meant = () => (drawer.hasFocus() ? drawer.handoff() : find(table.active()));

const KEYS = {
  j: () => table.move(1),
  k: () => table.move(-1),
  Enter: () => (find(table.active()) ? drawer.open(table.active()) : false),
  e: () => { actions.act('end', meant()); },
  s: () => { actions.act('snooze', meant()); },
  t: () => { actions.act('transfer', meant()); },
  '/': () => $('#search').focus(),
  '?': () => { showKeys(); },
  Escape: () => (drawer.shows() === null ? false : drawer.close()),
  ...Object.fromEntries(Object.keys(KINDS).map((kind, index) => [index + 1, () => tools.set({ kind })])),
};

async function logOut() {
  try {
    await call('DELETE', '/agent/session');
    out();
  } catch (error) {
    notes.fail(saidOf(error));
  }
}

// -- in and out

async function begin(requests, pause = FIRST_PAUSE) {
  try {
    const [who, list] = await Promise.all(requests);
    page.me = (await who.json()).data;
    start(list);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) showEntry();
    else beginAgain(error, pause);
  }
}

function beginAgain(error, pause) {
  setText($('.loading'), t('console.unreachable', { why: saidOf(error) }));
  const wait = Math.max(pause, (error.retryAfter ?? 0) * 1000);
  setTimeout(() => begin([ask('GET', '/agent/me'), ask('GET', opening.LIST)], Math.min(pause * 2, LONGEST_PAUSE)), wait);
}

async function start(list) {
  document.body.dataset.at = 'app';
  $('#app').hidden = false;
  tools.knowMe(page.me);
  drawFrame();
  listenToKeys(KEYS);
  page.stopTicking = everySecond(tick);
  page.socket = listen({ path: '/ws/agent', after: lastEvent(list), onEvent, onReset: reading.again, onLink, onRefused: expired });
  await reading.again(list);
  reading.start();
}

function expired() {
  if (document.body.dataset.at === 'app') out('console.entry.expired');
}

function out(why) {
  page.socket.stop();
  reading.stop();
  page.stopTicking();
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close('');
  showEntry(why);
}

translate();
tools.draw();
for (const button of document.querySelectorAll('[data-language]')) button.addEventListener('click', relabel);
$('#rows').addEventListener('click', onRow);
$('#empty button').addEventListener('click', tools.clear);
$('#help').addEventListener('click', showKeys);
$('#leave').addEventListener('click', logOut);
begin([opening.me, opening.first]);
