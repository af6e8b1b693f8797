// One handoff as a row of the table, which is a card on a phone. It writes only what differs.

import { lasted, level, since, toTheMinute, when } from './clocks.js';
import { h, setText } from './dom.js';
import { waitingSince } from './filters.js';
import { nameOf, plain, shortId } from './names.js';
import { t } from './words.js';

const ACTS = ['end', 'snooze', 'transfer'];

export function createRow(handoff, busy) {
  const parts = built(handoff.id);
  const row = { node: parts.node, handoff, update, tick, select };

  function update(next, isBusy) {
    row.handoff = next;
    drawWho(parts, next);
    drawStatus(parts, next);
    setText(parts.words, plain(next.lastText));
    parts.words.title = plain(next.lastText);
    parts.node.setAttribute('aria-busy', String(isBusy));
    for (const button of parts.acts) button.setAttribute('aria-disabled', String(isBusy));
    tick();
  }

  function tick() {
    const start = waitingSince(row.handoff);
    const waited = start ? since(start) : 0;
    setText(parts.wait, start ? lasted(waited) : '–');
    const urgency = start ? level(waited) : 'none';
    if (parts.node.dataset.level !== urgency) parts.node.dataset.level = urgency;
    setText(parts.open, lasted(since(row.handoff.requestedAt)));
  }

  // The one row that Tab reaches, with its buttons.
  function select(chosen) {
    const reach = chosen ? 0 : -1;
    parts.node.tabIndex = reach;
    for (const button of [parts.id, ...parts.acts]) button.tabIndex = reach;
  }

  update(handoff, busy);
  select(false);
  return row;
}

function built(id) {
  const cell = (name, label, ...content) =>
    h('td', { role: 'cell', class: `c-${name}`, data: label ? { label } : {} }, ...content);
  const parts = {
    name: h('span', { class: 'name' }),
    id: h('button', { type: 'button', class: 'id', data: { act: 'copy', testid: 'copy' } }),
    account: cell('account'),
    servicer: cell('servicer'),
    status: h('span', { class: 'status', data: { testid: 'status' } }),
    snoozed: h('span', { class: 'snoozed', data: { testid: 'snoozed' } }),
    wait: h('span', { class: 'clock', data: { testid: 'wait' } }),
    open: h('span', { class: 'clock' }),
    words: h('span', { class: 'last' }),
    acts: ACTS.map((act) => h('button', { type: 'button', class: `act act-${act}`, data: { act, testid: act } }, t(`console.act.${act}`))),
  };
  parts.node = h(
    'tr', { role: 'row', data: { testid: 'handoff-row', handoffId: id } },
    h('th', { scope: 'row', role: 'rowheader', class: 'c-customer' }, parts.name, h('span', { class: 'number' }, `#${id}`), parts.id),
    parts.account, parts.servicer, cell('status', '', parts.status, parts.snoozed),
    cell('wait', t('console.short.wait'), parts.wait), cell('open', t('console.short.open'), parts.open),
    cell('words', '', parts.words), cell('actions', '', ...parts.acts),
  );
  return parts;
}

function drawWho(parts, handoff) {
  setText(parts.name, nameOf(handoff));
  parts.name.title = nameOf(handoff);
  setText(parts.id, shortId(handoff.userId));
  parts.id.title = t('console.copy', { id: handoff.userId });
  setText(parts.account, plain(handoff.accountName));
  setText(parts.servicer, plain(handoff.agentId) || '–');
  parts.open.title = when(handoff.requestedAt);
}

function drawStatus(parts, handoff) {
  setText(parts.status, t(`console.status.${handoff.status}`));
  parts.status.dataset.status = handoff.status;
  parts.snoozed.hidden = !handoff.snoozedUntil || since(handoff.snoozedUntil) > 0;
  setText(parts.snoozed, parts.snoozed.hidden ? '' : t('console.snoozed', { when: toTheMinute(handoff.snoozedUntil) }));
}
