// The table: however many rows there are, only those near the ones in view are in the document, between two spaces as
// high as the rest. One row is the active one, which the keyboard moves.

import { h } from './dom.js';
import { createRow } from './row.js';

const SPARE = 12; // rows beyond either edge
const GUESS = 53; // pixels, until a row has been measured
const FADE = 450;
const NOTICED = 2600;
const AT_REST = 10000; // milliseconds after which somebody who points at the table need not be looking at it

// find(id): the handoff. isBusy(id): something is under way with it. onStale(): the order that was put off is due now.
export function createTable({ table, scroller, find, isBusy, onStale }) {
  const body = table.tBodies[0];
  const above = space();
  const below = space();
  const rows = new Map(); // those in the document
  const leaving = new Map(); // id → handoff, while it fades
  let order = [];
  let active = null;
  let isMoved = false; // until then the first row is the active one
  let marked = null;
  let height = GUESS;
  let touched = -AT_REST;
  let stale = false;
  body.append(above, below);

  // -- which rows

  // `anew`: because somebody asked for it. Otherwise nothing moves under the pointer, or under the keyboard's focus.
  function show(ids, anew) {
    stale = !anew && isHeld();
    order = withLeaving(stale ? asBefore(ids) : ids);
    if (!isMoved || !order.includes(active)) select(order[0] ?? null);
    table.setAttribute('aria-rowcount', String(order.length + 1));
    draw();
  }

  function isHeld() {
    const isThere = body.matches(':hover') || body.contains(document.activeElement);
    return isThere && performance.now() - touched < AT_REST;
  }

  function asBefore(ids) {
    const wanted = new Set(ids);
    const kept = order.filter((id) => wanted.has(id));
    const had = new Set(kept);
    return [...kept, ...ids.filter((id) => !had.has(id))];
  }

  function withLeaving(ids) {
    if (!leaving.size) return ids;
    const all = ids.filter((id) => !leaving.has(id));
    order.forEach((id, index) => { if (leaving.has(id)) all.splice(Math.min(index, all.length), 0, id); });
    return all;
  }

  // -- drawing

  function draw() {
    const [first, last] = inView();
    const focused = document.activeElement;
    const wanted = order.slice(first, last);
    dropAllBut(new Set(wanted));
    let next = above.nextSibling;
    wanted.forEach((id, index) => {
      const { node } = rows.get(id) ?? added(id);
      node.setAttribute('aria-rowindex', String(first + index + 2));
      if (node === next) next = next.nextSibling;
      else body.insertBefore(node, next);
    });
    above.firstChild.style.height = `${first * height}px`;
    below.firstChild.style.height = `${(order.length - last) * height}px`;
    if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
    measure();
  }

  function inView() {
    const edge = scroller.getBoundingClientRect().top;
    const top = above.getBoundingClientRect().top;
    const first = Math.floor((Math.max(0, edge) - top) / height) - SPARE;
    const last = Math.ceil((innerHeight - top) / height) + SPARE;
    return [Math.min(Math.max(0, first), order.length), Math.min(Math.max(0, last), order.length)];
  }

  function dropAllBut(wanted) {
    for (const [id, row] of rows) {
      if (!wanted.has(id)) {
        row.node.remove();
        rows.delete(id);
      }
    }
  }

  function added(id) {
    const row = createRow(leaving.get(id) ?? find(id), isBusy(id));
    row.select(id === active);
    row.node.toggleAttribute('data-open', id === marked);
    rows.set(id, row);
    return row;
  }

  function measure() {
    const real = rows.values().next().value?.node.getBoundingClientRect().height;
    if (!real || Math.abs(real - height) < 0.5) return;
    height = real;
    draw();
  }

  // -- one row

  function update(id, isNews) {
    const row = rows.get(id);
    if (!row || !find(id)) return;
    row.update(find(id), isBusy(id));
    if (isNews) flash(row.node);
  }

  function flash(node) {
    node.classList.remove('news');
    void node.offsetWidth; // or the animation would not begin again
    node.classList.add('news');
    setTimeout(() => node.classList.remove('news'), NOTICED);
  }

  // It fades; then `done` has the table shown without it.
  function leave(id, handoff, done) {
    const row = rows.get(id);
    passOn(id, row);
    if (!row || matchMedia('(prefers-reduced-motion: reduce)').matches) return done();
    leaving.set(id, handoff);
    row.node.inert = true;
    row.node.classList.add('leaving');
    setTimeout(() => {
      leaving.delete(id);
      done();
    }, FADE);
  }

  function passOn(id, row) {
    if (active !== id) return;
    const index = order.indexOf(id);
    const heir = [...order.slice(index + 1), ...order.slice(0, index).reverse()].find((other) => !leaving.has(other));
    const focused = row?.node.contains(document.activeElement);
    select(heir ?? null);
    if (focused && heir !== undefined) focus();
  }

  // -- the active row

  function select(id) {
    rows.get(active)?.select(false);
    active = id;
    rows.get(active)?.select(true);
  }

  function focus() {
    if (active === null) return;
    if (!rows.has(active)) scrollTo(order.indexOf(active));
    const { node } = rows.get(active);
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: 'nearest' });
  }

  function scrollTo(index) {
    const edge = Math.max(0, scroller.getBoundingClientRect().top);
    const away = above.getBoundingClientRect().top + index * height - edge - innerHeight / 3;
    const isPane = scroller.scrollHeight > scroller.clientHeight && getComputedStyle(scroller).overflowY === 'auto';
    (isPane ? scroller : window).scrollBy({ top: away, behavior: 'instant' });
    draw();
  }

  function move(by) {
    if (!order.length) return;
    const index = order.indexOf(active) + (body.contains(document.activeElement) ? by : 0);
    select(order[Math.min(Math.max(0, index), order.length - 1)]);
    touched = performance.now();
    focus();
  }

  // -- what happens to it

  const touch = () => { touched = performance.now(); };
  body.addEventListener('pointermove', touch, { passive: true });
  body.addEventListener('keydown', touch);
  body.addEventListener('focusin', (event) => {
    touch();
    const row = event.target.closest('[data-handoff-id]');
    if (!row) return;
    isMoved = true;
    select(Number(row.dataset.handoffId));
  });
  document.addEventListener('scroll', (event) => {
    if (event.target === document || event.target === scroller) draw();
  }, { capture: true, passive: true });
  new ResizeObserver(draw).observe(scroller);

  return {
    show, update, leave, move, focus,
    active: () => active,
    has: (id) => order.includes(id) && !leaving.has(id),
    // The one that is shown in full.
    mark(id) {
      marked = id;
      for (const [each, { node }] of rows) node.toggleAttribute('data-open', each === id);
    },
    tick() {
      for (const row of rows.values()) row.tick();
      if (stale && !isHeld()) onStale();
    },
    relabel() {
      dropAllBut(new Set());
      draw();
    },
  };
}

function space() {
  return h('tr', { class: 'space', 'aria-hidden': 'true' }, h('td', { colspan: 8 }));
}
