// Which of the open handoffs are shown, and in which order. Kept in the address, so that a reload shows the same.

import { nameOf, plain } from './names.js';
import { language } from './words.js';

export const KINDS = { all: () => true, waiting, human: (handoff) => !queued(handoff), queued };
export const ORDERS = ['customer', 'account', 'servicer', 'status', 'wait', 'open'];
// What is asked for first where one is chosen anew: with times the longest.
export const DOWN = { wait: true, open: true };
const STATUSES = ['PENDING', 'ACCEPTED', 'IN_PROGRESS'];
const PLAIN = { kind: 'all', kf: '', servicer: '', q: '', sort: '-wait' };

function queued(handoff) { return handoff.status === 'PENDING'; }
// As `/list waiting` counts: in the queue too.
function waiting(handoff) { return Boolean(handoff.waitingSince); }

// Since when the customer waits: in the queue, or for the servicer.
export const waitingSince = (handoff) => (queued(handoff) ? handoff.requestedAt : handoff.waitingSince);

export function fromAddress() {
  const query = new URLSearchParams(location.search);
  const found = Object.fromEntries(Object.keys(PLAIN).map((name) => [name, query.get(name) ?? PLAIN[name]]));
  if (!Object.hasOwn(KINDS, found.kind)) found.kind = PLAIN.kind;
  if (!ORDERS.includes(found.sort.replace(/^-/, ''))) found.sort = PLAIN.sort;
  return found;
}

// `more`: what else the address holds.
export function toAddress(chosen, more) {
  const said = Object.entries({ ...chosen, ...more }).filter(([name, value]) => value && value !== PLAIN[name]);
  const query = new URLSearchParams(said).toString();
  const address = location.pathname + (query && `?${query}`);
  if (address !== location.pathname + location.search) history.replaceState(null, '', address);
}

export const unfiltered = (chosen) => ({ ...PLAIN, sort: chosen.sort });

export function matches(handoff, { kf, servicer, q }) {
  if (kf && handoff.openKfid !== kf) return false;
  if (servicer && handoff.agentId !== servicer) return false;
  return !q || told(handoff).includes(q.trim().toLowerCase());
}

function told({ id, userId, nickname, lastText, agentId, accountName }) {
  return [`#${id}`, userId, nickname, lastText, agentId, accountName].map(plain).join('\n').toLowerCase();
}

// How many there are of each kind, and those of the chosen kind in order.
export function choose(handoffs, chosen) {
  const found = [...handoffs].filter((handoff) => matches(handoff, chosen));
  const counts = Object.fromEntries(Object.entries(KINDS).map(([kind, is]) => [kind, found.filter(is).length]));
  return { counts, shown: found.filter(KINDS[chosen.kind]).sort(order(chosen.sort)) };
}

function order(sort) {
  const down = sort.startsWith('-');
  const compare = BY[sort.replace(/^-/, '')]();
  return (a, b) => (down ? compare(b, a) : compare(a, b)) || longest(a, b) || a.id - b.id;
}

const LAST = '~'; // behind every time
const earlier = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function longest(a, b) {
  return earlier(waitingSince(a) ?? LAST, waitingSince(b) ?? LAST) || earlier(a.requestedAt, b.requestedAt);
}

const words = (of) => () => {
  const { compare } = new Intl.Collator(language());
  return (a, b) => compare(of(a), of(b));
};

const BY = {
  customer: words(nameOf),
  account: words((handoff) => plain(handoff.accountName)),
  servicer: words((handoff) => plain(handoff.agentId)),
  status: () => (a, b) => STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status),
  wait: () => (a, b) => earlier(waitingSince(b) ?? LAST, waitingSince(a) ?? LAST),
  open: () => (a, b) => earlier(b.requestedAt, a.requestedAt),
};
