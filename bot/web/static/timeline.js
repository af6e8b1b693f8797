// The log of one handoff in words. A type or a fact that this page does not know yet is shown as it is.

import { when } from './clocks.js';
import { h } from './dom.js';
import { plain } from './names.js';
import { has, t } from './words.js';

const OURS = 'kfbot';

export function timeline(events) {
  return h('ol', { class: 'timeline', data: { testid: 'timeline' } }, ...events.map(item));
}

function item({ type, operatorType, operatorId, at, eventData }) {
  const what = has(`console.event.${type}`) ? t(`console.event.${type}`) : type;
  const facts = Object.entries(eventData ?? {}).filter(([, value]) => ![null, '', operatorId].includes(value)).map(fact).filter(Boolean);
  return h(
    'li', { data: { testid: 'event', type } },
    h('time', { datetime: at }, when(at)),
    h('b', {}, what), h('span', { class: 'by' }, operator(operatorType, operatorId)),
    facts.length > 0 && h('ul', {}, ...facts.map((text) => h('li', {}, text))),
  );
}

function operator(type, id) {
  if (type === 'USER') return t('console.by.USER');
  if (type === 'AGENT') return plain(id) || t('console.by.staff');
  return id === OURS || !id ? t('console.by.SYSTEM') : t('console.by.rule', { rule: worded(`console.rule.${id}`, id) });
}

const worded = (key, value) => (has(key) ? t(key) : plain(value));

const KEYS = {
  via: (value) => `console.via.${value}`,
  endedBy: (value) => `console.by.${value === 'AGENT' ? 'staff' : value}`,
  status: (value) => `console.status.${value}`,
  outcome: (value) => `console.outcome.${value}`,
  score: (value) => `console.score.${value}`,
  state: (value) => `console.state.${value}`,
};

function fact([name, value]) {
  if (name === 'errcode' && value === 0) return '';
  if (name === 'confirmed') return value ? '' : t('console.fact.unconfirmed');
  const told = KEYS[name] ? worded(KEYS[name](value), value) : typeof value === 'object' ? JSON.stringify(value) : plain(value);
  return has(`console.fact.${name}`) ? t(`console.fact.${name}`, { value: told }) : `${plain(name)}: ${told}`;
}
