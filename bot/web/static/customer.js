// The customer's page: who serves, since when, and a button that ends it. It shows what the bot says: each live event
// has it asked anew, and an answer that was under way when news came is not believed.

import { $, answered } from './dom.js';
import { ApiError, ask, call, lastEvent } from './api.js';
import { draw } from './customer_card.js';
import { listen } from './live.js';
import { switchLanguage, t, translate } from './words.js';

const HOME = '/h';
const SOON = 100; // milliseconds, as all of these: events come in twos and threes
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;
const WITHOUT_EVENTS = 15000; // between two looks while no live events come through
const QUIET = 2000; // a connection that is back so soon need not be spoken of
const TICK = 500;

const status = Number(document.body.dataset.status);
const REFUSED = { 401: 'expired', 429: 'busy' };

const page = { kind: REFUSED[status] || 'loading', account: '', handoff: null, ended: null, ending: 0, trouble: null, offline: false };

// -- what the bot says

let live = null;
let linked = false;
let hint = 0;
let turn = 0;
let timer = 0;
let pause = FIRST_PAUSE;

async function refresh() {
  const mine = ++turn;
  plan(0);
  try {
    const reply = await ask('GET', '/customer/handoff');
    const { data } = await reply.json();
    if (mine === turn) learn(data, lastEvent(reply));
  } catch (error) {
    if (mine === turn) failed(error);
  }
}

// One look at a time; 0 milliseconds: none.
function plan(milliseconds) {
  clearTimeout(timer);
  timer = milliseconds && setTimeout(refresh, milliseconds);
}

// The answer that is under way may be older than what we have just heard.
function look() {
  turn += 1;
  plan(SOON);
}

function learn(handoff, after) {
  const before = page.handoff;
  if (before && !handoff && posting) return; // whose end it was, the answer tells
  if (before && !(handoff && handoff.id === before.id)) finish({ id: before.id });
  Object.assign(page, { kind: 'ready', handoff });
  if (handoff) Object.assign(page, { ended: null, account: handoff.accountName === handoff.openKfid ? '' : handoff.accountName });
  pause = FIRST_PAUSE;
  if (!live) live = listen({ path: '/ws/customer', after, onEvent, onReset: refresh, onLink, onRefused: expire });
  else if (!linked) plan(WITHOUT_EVENTS);
  show();
}

function failed(error) {
  if (error.status === 401) return expire();
  if (page.kind !== 'ready') page.kind = error.status === 429 ? 'busy' : 'unreachable';
  plan(Math.max(pause, (error.retryAfter || 0) * 1000));
  pause = Math.min(pause * 2, LONGEST_PAUSE);
  return show();
}

function expire() {
  turn += 1;
  plan(0);
  if (live) live.stop();
  Object.assign(page, { kind: 'expired', handoff: null, ended: null, trouble: null });
  show();
}

function onEvent({ type, payload }) {
  const { handoff } = page;
  if (type === 'HANDOFF_COMPLETED') {
    finish({ ...payload, id: payload.handoffRequestId });
  } else if (handoff && handoff.id === payload.handoffRequestId && handoff.status === 'PENDING') {
    Object.assign(handoff, { status: payload.status, agentId: payload.agentId });
  }
  look();
  show();
}

// It is over; by whom may be heard later. What was known of it stays.
function finish({ id, endedBy: by, agentId, completedAt }) {
  const { handoff, ended } = page;
  const told = by ? { id, by, agentId, completedAt } : { id };
  if (handoff && handoff.id === id) {
    const { status: last, acceptedAt } = handoff;
    page.ended = { agentId: handoff.agentId, acceptedAt, inQueue: last === 'PENDING', ...told };
    Object.assign(page, { handoff: null, trouble: null });
  } else {
    page.ended = { ...(ended && ended.id === id && ended), ...told };
  }
}

function onLink(up) {
  linked = up;
  clearTimeout(hint);
  if (!up) {
    hint = setTimeout(() => { page.offline = true; show(); }, QUIET);
    if (!timer) plan(WITHOUT_EVENTS);
  } else if (page.offline) {
    page.offline = false;
    show();
  }
}

// -- ending

let asking = 0;
let posting = false;

async function end() {
  if (asking || page.ending || !page.handoff) return;
  const { id } = page.handoff;
  asking = id;
  const sure = await confirmed();
  asking = 0;
  if (!sure || !isOpen(id)) return;
  Object.assign(page, { ending: id, trouble: null });
  show();
  await post(id);
  page.ending = 0;
  show();
  if (!page.handoff) $('#headline').focus();
}

const isOpen = (id) => page.handoff !== null && page.handoff.id === id;

async function confirmed() {
  const dialog = $('#confirm');
  if (dialog.showModal) return await answered(dialog) === 'end';
  return window.confirm(`${t('customer.confirm.title')}\n${t('customer.confirm.text')}`);
}

// Where it does not succeed, the truth is asked for: it may have ended all the same, by whomever.
async function post(id) {
  let refusal = null;
  posting = true;
  try {
    finish(await call('POST', '/customer/handoff/end-by-user', { handoffRequestId: id }));
    look();
  } catch (error) {
    refusal = error;
  }
  posting = false;
  if (refusal && refusal.status === 401) return expire();
  if (refusal) await refresh();
  if (refusal && isOpen(id)) page.trouble = reason(refusal);
  return undefined;
}

function reason(error) {
  if (!(error instanceof ApiError)) return { key: 'customer.trouble.network' };
  if (error.status === 429) return { key: 'customer.trouble.busy', seconds: Math.max(1, error.retryAfter) };
  return { key: 'customer.trouble.refused' };
}

// -- the page

function show() {
  draw(page);
  if (asking && !isOpen(asking) && $('#confirm').open) $('#confirm').close('');
}

function retry() {
  if (status !== 200) return location.reload();
  page.kind = 'loading';
  show();
  return refresh();
}

function changeLanguage() {
  switchLanguage();
  translate();
  show();
}

function back() {
  if (document.visibilityState !== 'hidden' && page.kind !== 'expired') refresh();
}

function answersWith(button) {
  button.addEventListener('click', () => $('#confirm').close(button.dataset.answer));
}

function begin() {
  translate();
  show();
  document.querySelectorAll('#confirm [data-answer]').forEach(answersWith);
  $('#end').addEventListener('click', end);
  $('#retry').addEventListener('click', retry);
  $('#language').addEventListener('click', changeLanguage);
  if (status === 429) return; // to be loaded anew, with the token that is in the address
  history.replaceState(null, '', HOME);
  if (status !== 200) return;
  setInterval(() => { if (page.handoff) show(); }, TICK);
  document.addEventListener('visibilitychange', back);
  window.addEventListener('pageshow', (event) => { if (event.persisted) back(); });
  refresh();
}

begin();
