// Today's numbers, or the week's: kept up with what happens, as long as somebody can see them.

import { call } from './api.js';
import { createCharts } from './charts.js';
import { h, setText } from './dom.js';
import { createNow, createTiles } from './tiles.js';
import { t } from './words.js';

const SOON = 2000; // milliseconds after news
const SHARE = 20; // of its time the bot may spend on us: asked again after so many times what an answer took
const ANYWAY = 60000; // clocks run, and days end, without news
const PERIODS = ['today', 'week'];

const mounted = [];

export function mountNumbers(section) {
  let period = PERIODS[0];
  let stats = null;
  let problem = null;
  let isSeen = false;
  let isStale = true;
  let isRunning = false;
  let took = 0;
  let timer = 0;

  const buttons = PERIODS.map((each) => h('button', {
    type: 'button', data: { period: each, testid: `numbers-${each}` }, on: { click: () => choose(each) },
  }));
  const [nowName, name] = [h('h2'), h('h2', { id: 'numbers-name' })];
  const group = h('div', { class: 'periods', role: 'group', 'aria-labelledby': name.id }, ...buttons);
  const trouble = h('p', { class: 'numbers-trouble', role: 'status', data: { testid: 'numbers-trouble' }, hidden: true });
  const open = createNow();
  const tiles = createTiles();
  const charts = createCharts();
  section.classList.add('numbers');
  section.replaceChildren(trouble, nowName, open.node, h('div', { class: 'numbers-head' }, name, group), tiles.node, charts.node);

  // -- what is shown

  function draw() {
    setText(nowName, t('console.numbers.now'));
    setText(name, t('console.numbers.over'));
    for (const button of buttons) {
      setText(button, t(`console.numbers.${button.dataset.period}`));
      button.setAttribute('aria-pressed', String(button.dataset.period === period));
    }
    trouble.hidden = !problem;
    setText(trouble, problem ? t('console.numbers.trouble') : '');
    open.draw(stats);
    tiles.draw(stats);
    charts.draw(stats);
  }

  function choose(chosen) {
    if (chosen === period) return;
    period = chosen;
    draw();
    isStale = true;
    took = 0;
    plan(0);
  }

  // -- what is asked

  const isWatched = () => isSeen && document.visibilityState !== 'hidden';

  function plan(pause = Math.max(SOON, took * SHARE)) {
    if (isRunning || !isStale || !isWatched()) return;
    if (timer && pause) return;
    clearTimeout(timer);
    timer = setTimeout(run, pause);
  }

  async function run() {
    const asked = period;
    [timer, isRunning, isStale] = [0, true, false];
    const began = performance.now();
    try {
      const answer = await call('GET', `/agent/stats?period=${asked}`);
      if (asked === period) [stats, problem] = [answer, null];
    } catch (error) {
      problem = error;
    }
    [took, isRunning] = [performance.now() - began, false];
    draw();
    plan(asked === period ? undefined : 0);
  }

  function refresh() {
    isStale = true;
    plan();
  }

  function look() {
    plan(stats ? undefined : 0);
  }

  new IntersectionObserver((entries) => {
    isSeen = entries[entries.length - 1].isIntersecting;
    look();
  }).observe(section);
  document.addEventListener('visibilitychange', look);
  setInterval(refresh, ANYWAY);
  mounted.push(draw);
  draw();
  return { refresh, relabel: draw };
}

export function relabel() {
  for (const draw of mounted) draw();
}
