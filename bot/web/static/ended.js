// The last ends, so that nobody has to wonder where a row has gone.

import { when } from './clocks.js';
import { $, h, setText } from './dom.js';
import { endedBy, nameOf } from './names.js';
import { t } from './words.js';

const KEPT = 20;

export function createEnded(onOpen) {
  const list = $('#ended');
  let last = [];

  function draw() {
    setText($('#ended-count'), String(last.length));
    $('#ended-none').hidden = last.length > 0;
    list.replaceChildren(...last.map(item));
  }

  function item(handoff) {
    const who = t('console.ended.by', { who: endedBy(handoff), when: when(handoff.completedAt) });
    return h('li', {}, h(
      'button', { type: 'button', data: { testid: 'ended-item' }, on: { click: () => onOpen(handoff.id) } },
      h('span', { class: 'name' }, nameOf(handoff)), h('span', { class: 'ended-who' }, who),
    ));
  }

  return {
    draw,
    add(handoffs) {
      last = [...handoffs].reverse().concat(last).slice(0, KEPT);
      draw();
    },
  };
}
