// The keyboard: letters and arrows where nobody types, and a dialog that lists them.

import { $, answered, h } from './dom.js';
import { t } from './words.js';

const LISTED = [
  ['↑ ↓ j k', 'move'], ['Enter', 'open'], ['e', 'end'], ['s', 'snooze'], ['t', 'transfer'], ['/', 'search'],
  ['1 – 4', 'kinds'], ['?', 'help'], ['Esc', 'close'],
];
const IS_TYPED = 'input, select, textarea, [contenteditable]';

// does: what each key has done, by its name in the browser.
export function listenToKeys(does) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $('dialog[open]')) return;
    if (event.target.closest(IS_TYPED)) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    if (event.key === 'Enter' && event.target.closest('button, a, summary')) return;
    if (event.key.startsWith('Arrow') && event.target.closest('#drawer')) return;
    const key = { '？': '?', ArrowDown: 'j', ArrowUp: 'k' }[event.key] ?? event.key;
    if (!Object.hasOwn(does, key)) return;
    if (does[key]() !== false) event.preventDefault();
  });
}

const shown = (key) => (key === '–' ? ' – ' : h('kbd', {}, key));

const line = ([keys, name]) => [h('dt', {}, ...keys.split(' ').map(shown)), h('dd', {}, t(`console.keys.${name}`))];

export async function showKeys() {
  const close = h('button', { class: 'button button-main', autofocus: true }, t('console.close'));
  const form = h(
    'form', { method: 'dialog' },
    h('h2', { id: 'keys-name' }, t('console.keys')), h('dl', { class: 'keys' }, ...LISTED.flatMap(line)),
    h('div', { class: 'dialog-buttons' }, close),
  );
  const dialog = h('dialog', { 'aria-labelledby': 'keys-name', data: { testid: 'keys' } }, form);
  document.body.append(dialog);
  await answered(dialog);
  dialog.remove();
}
