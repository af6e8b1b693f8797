// One handoff in full, open or ended, with its log; beside the table, or over it on a phone.

import { call } from './api.js';
import { lasted, level, since, when } from './clocks.js';
import { $, h, setText } from './dom.js';
import { waitingSince } from './filters.js';
import { isOpen } from './handoffs.js';
import { endedBy, nameOf, plain } from './names.js';
import { timeline } from './timeline.js';
import { t } from './words.js';

const ACTS = { end: 'button-danger', snooze: '', transfer: '' };

// find(id): what the table knows of it. onOpened(id or null): for the address and the table's mark. onLost(): it has
// gone, and what had the focus before it too.
export function createDrawer({ find, isBusy, onAct, onCopy, onOpened, onLost, onRefused, saidOf }) {
  const box = $('#drawer');
  const phone = matchMedia('(max-width: 759px)');
  let id = null;
  let handoff = null;
  let events = null;
  let problem = '';
  let turn = 0;
  let clocks = [];
  let back = null;

  function open(wanted) {
    if (box.hidden) back = document.activeElement;
    [id, handoff, events, problem] = [wanted, find(wanted) ?? null, null, ''];
    box.hidden = false;
    draw();
    settle();
    box.scrollTop = 0;
    box.focus();
    onOpened(id);
    load();
  }

  function close() {
    if (box.hidden) return;
    const hadFocus = box.contains(document.activeElement);
    box.hidden = true;
    id = null;
    settle();
    onOpened(null);
    if (hadFocus) (back?.isConnected ? back : { focus: onLost }).focus();
  }

  // On a phone it lies over everything else.
  function settle() {
    const isOver = !box.hidden && phone.matches;
    $('#app > main').inert = isOver;
    $('#app > header').inert = isOver;
    document.body.classList.toggle('covered', isOver);
  }

  async function load() {
    const [mine, wanted] = [++turn, id];
    try {
      const [found, log] = await Promise.all([call('GET', `/handoffs/${wanted}`), call('GET', `/handoffs/${wanted}/events`)]);
      if (mine !== turn || wanted !== id) return;
      const isSame = JSON.stringify([found, log]) === JSON.stringify([handoff, events]);
      [handoff, events, problem] = [found, log, ''];
      if (!isSame) draw();
    } catch (error) {
      if (mine !== turn || wanted !== id) return;
      if (error.status === 401) return onRefused();
      if (handoff && events) return;
      problem = saidOf(error);
      draw();
    }
  }

  // -- drawing

  function draw() {
    const focused = box.contains(document.activeElement) && document.activeElement.dataset.keep;
    clocks = [];
    box.replaceChildren(head(), ...(handoff ? body() : []), problem ? h('p', { class: 'problem', role: 'alert' }, problem) : '');
    if (focused) ($(`[data-keep="${focused}"]`, box) ?? box).focus({ preventScroll: true });
    tick();
  }

  function head() {
    const name = h('h2', { id: 'drawer-name' }, handoff ? nameOf(handoff) : `#${id}`);
    return h('div', { class: 'drawer-head' }, name, ...(handoff ? badges() : []), h(
      'button',
      { type: 'button', class: 'quiet drawer-close', 'aria-label': t('console.close'), data: { testid: 'drawer-close', keep: 'close' }, on: { click: close } },
      '×',
    ));
  }

  const badges = () => [
    h('span', { class: 'number' }, `#${id}`),
    h('span', { class: 'status', data: { status: handoff.status, testid: 'drawer-status' } }, t(`console.status.${handoff.status}`)),
  ];

  function body() {
    return [
      isOpen(handoff) && buttons(),
      h('dl', { class: 'facts' }, ...facts().flatMap(([key, value]) => [h('dt', {}, t(key)), h('dd', {}, value)])),
      h('h3', {}, t('console.log')),
      events ? timeline(events) : h('p', { class: 'soft' }, problem ? '' : t('console.loading')),
    ].filter(Boolean);
  }

  function buttons() {
    const busy = isBusy(id);
    return h('div', { class: 'drawer-acts' }, ...Object.entries(ACTS).map(([act, look]) => h(
      'button',
      { type: 'button', class: `button ${look}`, 'aria-disabled': String(busy), data: { testid: act, keep: act }, on: { click: () => onAct(act, handoff) } },
      t(`console.act.${act}`),
    )));
  }

  function facts() {
    const start = isOpen(handoff) ? waitingSince(handoff) : null;
    return [
      ['console.column.customer', copyable(handoff.userId)],
      ['console.column.account', h('span', { title: handoff.openKfid }, plain(handoff.accountName))],
      ['console.column.servicer', plain(handoff.agentId) || '–'],
      start && ['console.column.wait', running(start, true)],
      isOpen(handoff) && ['console.column.open', running(handoff.requestedAt)],
      ['console.requested', moment(handoff.requestedAt)],
      handoff.acceptedAt && ['console.accepted', moment(handoff.acceptedAt)],
      handoff.repliedAt && ['console.replied', moment(handoff.repliedAt)],
      handoff.lastText && ['console.column.words', h('q', {}, plain(handoff.lastText))],
      handoff.snoozedUntil && since(handoff.snoozedUntil) === 0 && ['console.snoozed.until', moment(handoff.snoozedUntil)],
      ...(isOpen(handoff) ? [] : end()),
      handoff.previousId && ['console.previous', earlier(handoff.previousId)],
    ].filter(Boolean);
  }

  const end = () => [
    handoff.completedAt && ['console.completed', moment(handoff.completedAt)],
    ['console.endedby', h('span', { data: { testid: 'ended-by' } }, endedBy(handoff))],
    handoff.via && ['console.way', t(`console.via.${handoff.via}`)],
    handoff.reason && ['console.reason', plain(handoff.reason)],
    handoff.completedAt && ['console.length', lasted(Date.parse(handoff.completedAt) - Date.parse(handoff.requestedAt))],
  ].filter(Boolean);

  const moment = (iso) => h('time', { datetime: iso }, when(iso));

  function copyable(text) {
    return h('span', { class: 'copyable' }, h('code', {}, text), h(
      'button', { type: 'button', class: 'quiet', data: { testid: 'drawer-copy', keep: 'copy' }, on: { click: () => onCopy(text) } }, t('console.copy.short'),
    ));
  }

  function running(start, isUrgent) {
    const node = h('span', { class: 'clock' });
    clocks.push(() => {
      setText(node, lasted(since(start)));
      if (isUrgent) node.dataset.level = level(since(start));
    });
    return node;
  }

  function earlier(previous) {
    const goThere = (event) => {
      event.preventDefault();
      open(previous);
    };
    return h('a', { href: `?handoff=${previous}`, data: { testid: 'previous', keep: 'previous' }, on: { click: goThere } }, `#${previous}`);
  }

  function tick() {
    for (const clock of clocks) clock();
  }

  phone.addEventListener('change', settle);

  return {
    open,
    close,
    tick,
    draw: () => { if (!box.hidden) draw(); },
    shows: () => id,
    handoff: () => (box.hidden ? null : handoff),
    hasFocus: () => !box.hidden && box.contains(document.activeElement),
    // Something may have happened to it: to `changed`, or to anything.
    refresh(changed = id) {
      if (!box.hidden && changed === id) load();
    },
  };
}
