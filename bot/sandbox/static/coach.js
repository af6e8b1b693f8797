// The guide in the header: four steps that tick themselves off as the snapshots show them happening.

import { $, h, icon } from './dom.js';
import { keyOf } from './people.js';
import { t } from './words.js';

const STEPS = [['write', 'stepWrite'], ['take', 'stepTake'], ['end', 'stepEnd'], ['read', 'stepRead']];
const KEY = 'kfbot.coach';
const RECENT = 30000;

function load() {
  try { return new Set(JSON.parse(sessionStorage.getItem(KEY)) ?? []); } catch { return new Set(); }
}

const written = (session) => session.messages.filter((one) => one.from === 'customer').length;

// go: what a click on each step does, by step name.
export function createCoach(go, values) {
  const done = load();
  let actedAt = 0;

  function save() {
    try { sessionStorage.setItem(KEY, JSON.stringify([...done])); } catch { /* private mode: ticks last for this page */ }
    draw();
  }

  function tick(step) {
    if (done.has(step)) return;
    done.add(step);
    save();
  }

  function draw() {
    const next = STEPS.find(([step]) => !done.has(step))?.[0];
    $('#coach').dataset.done = String(!next);
    $('#coach-lead').textContent = next ? t('tryFirst') : t('stepsDone');
    $('#coach-restart').hidden = done.size === 0;
    $('#coach-steps').hidden = !next;
    $('#coach-steps').replaceChildren(...STEPS.map(([step, word], index) => {
      const ticked = done.has(step);
      const button = h('button', { type: 'button', class: 'step', 'aria-current': step === next ? 'step' : null, data: { testid: 'coach-step', step, done: String(ticked) }, on: { click: () => go[step]() } },
        h('span', { class: 'step-mark' }, ticked ? icon('check') : String(index + 1)), h('span', {}, t(word, values())));
      return h('li', {}, button);
    }));
  }

  $('#coach-restart').addEventListener('click', () => { done.clear(); save(); });

  return {
    draw,
    // A message or a tap in the group: an end that follows soon is the group's doing.
    acted(text = '') {
      actedAt = Date.now();
      if (done.has('end') && /history|记录/.test(text)) tick('read');
    },
    observe(before, after) {
      if (!before) return;
      const old = new Map(before.sessions.map((one) => [keyOf(one), one]));
      for (const session of after.sessions) {
        const was = old.get(keyOf(session));
        if (written(session) > (was ? written(was) : 0)) tick('write');
        if (session.service_state === 3 && was?.service_state !== 3 && session.servicer_userid) tick('take');
        if (session.service_state === 4 && was && was.service_state !== 4 && Date.now() - actedAt < RECENT) tick('end');
      }
    },
  };
}
