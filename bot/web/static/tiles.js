// The big numbers, each beside what it was before until the same time of day.

import { lasted } from './clocks.js';
import { h, setText } from './dom.js';
import { count, t } from './words.js';

const NONE = '–';
const OPEN = ['waiting', 'human', 'queued'];

const time = (seconds) => lasted(Math.round(seconds) * 1000);
const percent = (share) => `${Math.round(share * 100)}%`;
const rated = ({ good, middling, bad }) => good + middling + bad;

// of: the number, null where there is none. good: whether it is good (1) or bad (-1) when there is more of it.
const TILES = {
  handled: { of: (stats) => stats.handled, say: count, good: 0 },
  satisfied: { of: ({ ratings }) => (rated(ratings) ? ratings.good / rated(ratings) : null), say: percent, good: 1 },
  wait: { of: ({ waitSeconds }) => (waitSeconds ? waitSeconds.median : null), say: time, good: -1 },
  wait90: { of: ({ waitSeconds }) => (waitSeconds ? waitSeconds.p90 : null), say: time, good: -1 },
  length: { of: ({ lengthSeconds }) => (lengthSeconds ? lengthSeconds.median : null), say: time, good: 0 },
  cancelled: { of: (stats) => stats.cancelled, say: count, good: -1 },
};

// What is open now. Both draw dashes until there are numbers.
export function createNow() {
  const tiles = OPEN.map((kind) => tile(kind, `open-${kind}`));

  function draw(stats) {
    for (const each of tiles) each.draw(t(`console.numbers.open.${each.name}`), stats ? count(stats.open[each.name]) : NONE);
  }

  return { node: h('dl', { class: 'now' }, ...tiles.map((each) => each.node)), draw };
}

export function createTiles() {
  const tiles = Object.keys(TILES).map((name) => tile(name, name));

  function draw(stats) {
    for (const each of tiles) {
      const value = stats && shown(each.name, stats);
      each.draw(t(`console.numbers.${each.name}`, { n: stats ? count(rated(stats.ratings)) : 0 }), value ?? NONE, ...(stats ? compared(each.name, stats) : []));
    }
  }

  return { node: h('dl', { class: 'tiles' }, ...tiles.map((each) => each.node)), draw };
}

function tile(name, testid) {
  const [label, value, arrow, words] = [h('dt'), h('dd', { class: 'value' }), h('i', { 'aria-hidden': 'true' }), h('span')];
  const before = h('dd', { class: 'before' }, arrow, words);
  const node = h('div', { data: { testid: `number-${testid}` } }, label, value, before);

  function draw(said, shown, way = '', comparison = '') {
    setText(label, said);
    setText(value, shown);
    before.dataset.way = way;
    setText(arrow, { up: '↑ ', down: '↓ ' }[way.split(' ')[0]] ?? '');
    setText(words, comparison);
    before.hidden = !comparison;
  }

  return { name, node, draw };
}

function shown(name, stats) {
  const value = TILES[name].of(stats);
  return value === null ? null : TILES[name].say(value);
}

// Which way it went, and whether that is good; and what it was before, in words.
function compared(name, stats) {
  const words = t(`console.numbers.before.${stats.period}`, { value: shown(name, stats.before) ?? NONE });
  const [now, before] = [TILES[name].of(stats), TILES[name].of(stats.before)];
  if (now === null || before === null || shown(name, stats) === shown(name, stats.before)) return ['', words];
  const isMore = now > before;
  const sense = { 1: 'better', '-1': 'worse', 0: '' }[TILES[name].good * (isMore ? 1 : -1)];
  return [`${isMore ? 'up' : 'down'} ${sense}`, words];
}
