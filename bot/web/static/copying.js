// To the clipboard; by the old way where the page has not come over https.

import { h } from './dom.js';

export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byTheOldWay(text);
  }
}

function byTheOldWay(text) {
  const focused = document.activeElement;
  const field = h('textarea', { class: 'sr', readonly: true });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (focused) focused.focus({ preventScroll: true });
  return done;
}
