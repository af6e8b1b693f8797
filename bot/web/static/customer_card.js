// What the customer's page looks like, drawn from what is known: `kind` is loading, ready, or why there is nothing to
// show (expired, busy, unreachable); `ending` is the handoff that is being ended, `trouble` why it could not be: the key
// of the words, and what is filled in.

import { $, h, setText } from './dom.js';
import { now } from './api.js';
import { toTheMinute, two } from './clocks.js';
import { t } from './words.js';

const { phrase } = document.body.dataset;

export function draw(page) {
  const { kind, headline, detail, facts } = meant(page);
  $('#card').hidden = false;
  $('#card').dataset.kind = kind;
  $('#offline').hidden = !page.offline || page.kind === 'expired';
  setText($('#account'), page.account || t('customer.title'));
  setText($('#headline'), headline);
  setText($('#detail'), detail);
  drawFacts(facts);
  setText($('#trouble'), page.trouble ? troubled(page.trouble) : '');
  drawEnd(kind === 'talk', page.ending !== 0);
  $('#or-write').hidden = kind !== 'talk' || !phrase || page.trouble !== null;
  setText($('#or-write'), t('customer.or_write', { phrase }));
  $('#retry').hidden = page.kind !== 'busy' && page.kind !== 'unreachable';
  setText($('#language'), t('page.language'));
}

function drawEnd(visible, busy) {
  const button = $('#end');
  button.hidden = !visible;
  button.disabled = busy;
  button.setAttribute('aria-busy', String(busy));
  setText(button, t(busy ? 'customer.ending' : 'customer.end'));
}

function troubled({ key, ...values }) {
  const trouble = t(key, values);
  return phrase ? t('customer.trouble.write', { trouble, phrase }) : trouble;
}

function meant({ kind, handoff, ended }) {
  if (kind === 'loading') return { kind, headline: t('customer.is.loading'), detail: '', facts: [] };
  if (kind === 'expired' && !phrase) return { ...told('stopped', kind), detail: t('customer.expired.next') };
  if (kind !== 'ready') return told('stopped', kind);
  if (handoff) return handoff.status === 'PENDING' ? queued(handoff) : talking(handoff);
  return ended ? over(ended) : told('none', 'none');
}

const told = (kind, key, facts = []) => ({ kind, headline: t(`customer.is.${key}`), detail: t(`customer.is.${key}.detail`, { phrase }), facts });

const queued = ({ requestedAt }) => told('queue', 'PENDING', [
  ['customer.queued_at', toTheMinute(requestedAt)],
  ['customer.waits', since(requestedAt)],
]);

function talking({ status, agentId, acceptedAt, requestedAt }) {
  const began = acceptedAt || requestedAt;
  return told('talk', status, [
    ['customer.agent', agentId],
    ['customer.began', toTheMinute(began)],
    ['customer.lasts', since(began)],
  ]);
}

function over({ by = 'somehow', inQueue, agentId, acceptedAt, completedAt }) {
  const lasted = acceptedAt && completedAt && amount(Date.parse(completedAt) - Date.parse(acceptedAt));
  return {
    kind: 'ended',
    headline: t(inQueue ? `customer.left.${by}` : `customer.ended.${by}`),
    detail: t('customer.over.detail'),
    facts: [
      ['customer.agent', agentId],
      ['customer.over_at', completedAt && toTheMinute(completedAt)],
      ['customer.lasted', lasted],
    ],
  };
}

function drawFacts(facts) {
  const list = $('#facts');
  const lines = facts.filter(([, text]) => text);
  const keys = lines.map(([key]) => key).join();
  if (list.dataset.keys !== keys) {
    list.dataset.keys = keys;
    list.textContent = '';
    list.append(...lines.map(() => h('div', {}, h('dt'), h('dd'))));
  }
  lines.forEach(([key, text], line) => {
    setText(list.children[line].firstChild, t(key));
    setText(list.children[line].lastChild, text);
  });
}

const since = (iso) => amount(now() - Date.parse(iso));

function amount(milliseconds) {
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  if (s < 60) return t('customer.seconds', { s });
  const m = Math.floor(s / 60);
  if (m < 60) return t('customer.minutes', { m, s: two(s % 60) });
  return t('customer.hours', { h: Math.floor(m / 60), m: two(m % 60) });
}
