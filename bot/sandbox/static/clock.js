// The sandbox's clock in the header: what time it is there, how fast it runs, and five minutes at once.

import { $, disclosure } from './dom.js';
import { t, timeOfDay } from './words.js';

const LEAP = 300;
const TICK = 500;

export function createClock(ctx) {
  const button = $('#clock');
  const speeds = [...document.querySelectorAll('[data-speed]')];

  function draw() {
    const state = ctx.state();
    if (!state) return;
    button.hidden = false;
    button.dataset.fast = String(state.speed > 1);
    $('#clock-time').textContent = timeOfDay(ctx.now());
    $('#clock-factor').textContent = state.speed > 1 ? `${state.speed}×` : '';
    $('#clock-held').hidden = !state.script;
    for (const one of speeds) {
      one.setAttribute('aria-pressed', String(Number(one.dataset.speed) === state.speed));
      one.disabled = Boolean(state.script);
    }
    $('#clock-leap').disabled = Boolean(state.script);
    $('#clock-leap').textContent = t('leap', { n: LEAP / 60 });
  }

  disclosure(button, $('#clock-panel'), draw);
  for (const one of speeds) one.addEventListener('click', () => ctx.act('clock', { speed: Number(one.dataset.speed) }));
  $('#clock-leap').addEventListener('click', () => ctx.act('clock', { advance: LEAP }));
  setInterval(draw, TICK);
  return { draw };
}
