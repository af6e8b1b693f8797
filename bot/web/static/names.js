// How people and ends are called. What others typed loses the marks that could turn the words around it.

import { t } from './words.js';

const MARKS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g;

export const plain = (text) => String(text ?? '').replace(MARKS, ' ').trim();

export const shortId = (id) => (id.length <= 14 ? id : `${id.slice(0, 6)}…${id.slice(-4)}`);

export const nameOf = (handoff) => plain(handoff.nickname) || shortId(handoff.userId);

// Which words there are for an end: its `endedBy`, or more where more is known.
function way({ endedBy, operatorId, via }) {
  if (via === 'expired' || via === 'elsewhere') return via;
  if (endedBy === 'AGENT') return operatorId ? 'AGENT' : 'staff';
  return endedBy ?? 'SYSTEM';
}

export const endedBy = (handoff) => t(`console.by.${way(handoff)}`, { who: plain(handoff.operatorId) });

export const endNote = (handoff) =>
  t(`console.ended.${way(handoff)}`, { name: nameOf(handoff), who: plain(handoff.operatorId) });
