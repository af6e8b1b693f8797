// A message list that changes only what changed, keeps the reader's place, and follows new messages at the bottom.

import { $, h } from './dom.js';
import { t, when } from './words.js';

const NEAR = 48;
const QUIET = 300;

function swap(old, fresh) {
  const focused = old.contains(document.activeElement);
  old.replaceWith(fresh);
  if (focused) $('button', fresh)?.focus({ preventScroll: true });
}

export function messageList(log, jump, render) {
  let nodes = new Map();
  let shown = null;
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const atBottom = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  let following = true;
  let lastTop = 0;

  function toBottom(smooth) {
    log.scrollTo({ top: log.scrollHeight, behavior: smooth && !calm.matches ? 'smooth' : 'instant' });
    following = true;
    jump.hidden = true;
  }

  function restart(key) {
    shown = key;
    nodes = new Map();
    following = true;
    log.setAttribute('aria-live', 'off');
    log.replaceChildren();
  }

  function place(messages, now) {
    const next = new Map();
    let added = 0;
    let cursor = log.firstChild;
    messages.forEach((message, index) => {
      const before = messages[index - 1];
      const stamp = !before || message.at - before.at > QUIET ? when(message.at, now) : '';
      const signature = JSON.stringify([message, stamp]);
      let entry = nodes.get(message.id);
      if (!entry || entry.signature !== signature) {
        const previous = entry;
        entry = { signature, message, node: render(message, { previous: previous?.message, time: when(message.at, now) }) };
        if (stamp) entry.node.prepend(h('p', { class: 'stamp' }, stamp));
        if (previous) swap(previous.node, entry.node);
        else added += 1;
        if (previous && cursor === previous.node) cursor = entry.node;
      }
      if (entry.node === cursor) cursor = cursor.nextSibling;
      else log.insertBefore(entry.node, cursor);
      next.set(message.id, entry);
    });
    for (const [id, entry] of nodes) if (!next.has(id)) entry.node.remove();
    nodes = next;
    return added;
  }

  // Only the reader scrolls up; the page itself only ever scrolls down.
  log.addEventListener('scroll', () => {
    if (atBottom()) {
      following = true;
      jump.hidden = true;
    } else if (log.scrollTop < lastTop) following = false;
    lastTop = log.scrollTop;
  }, { passive: true });
  log.addEventListener('load', () => { if (following) toBottom(false); }, true);
  new ResizeObserver(() => { if (following) toBottom(false); }).observe(log);
  new MutationObserver(() => { if (following) toBottom(true); }).observe(log, { childList: true, subtree: true, characterData: true });
  jump.addEventListener('click', () => toBottom(true));

  return {
    // What the reader sends brings the list back to its end.
    follow() { toBottom(true); },
    show(key, messages, now, empty) {
      const fresh = key !== shown;
      if (fresh) restart(key);
      if (messages.length) $('.empty', log)?.remove();
      const added = place(messages, now);
      if (!messages.length && !log.firstChild) log.append(emptyState(empty));
      if (fresh) {
        toBottom(false);
        requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
      } else if (added && !following) jump.hidden = false;
    },
  };
}

function emptyState(word) {
  return h('div', { class: 'empty' }, h('strong', {}, t(word)), h('span', {}, t(`${word}Hint`)));
}
