// Notes: what has just happened, said once, for eyes and for screen readers, gone after a while.

import { h } from './dom.js';
import { t } from './words.js';

const MOST = 4;
const STAYS = { info: 7000, error: 20000 };

export function createNotes(box) {
  function say(text, kind = 'info') {
    const close = h('button', { type: 'button', class: 'note-close', 'aria-label': t('console.close') }, '×');
    const note = h('p', { class: `note note-${kind}`, role: kind === 'error' ? 'alert' : null, data: { testid: 'note' } }, h('span', {}, text), close);
    const leave = () => note.remove();
    let timer = setTimeout(leave, STAYS[kind]);
    note.addEventListener('pointerenter', () => clearTimeout(timer));
    note.addEventListener('pointerleave', () => { timer = setTimeout(leave, STAYS[kind] / 2); });
    close.addEventListener('click', leave);
    while (box.children.length >= MOST) box.firstChild.remove();
    box.append(note);
  }

  return { say, fail: (text) => say(text, 'error') };
}
