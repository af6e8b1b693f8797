// The export: what, of which days and account, in which form; then how far it is, and how it went.

import { ApiError, now } from './api.js';
import { two } from './clocks.js';
import { $, h, setText } from './dom.js';
import { Broken, download, Unsaved } from './download.js';
import { plain } from './names.js';
import { openFile } from './saving.js';
import { language, t } from './words.js';

const WHAT = ['handoffs', 'events'];
const FORMS = { csv: 'text/csv', jsonl: 'application/jsonl' };
const PRESETS = new Map([['today', 1], ['7', 7], ['30', 30], ['all', 0]]); // days up to today; 0: all there ever were
const USUAL = 'today';
const DAY = 86400000;
const EVERY = 200; // milliseconds between two drawings

const count = (number) => Math.round(number).toLocaleString(language());

// A question is made anew each time it is asked, in the language of that time.
export function relabel() {}

// accounts(): those that may be seen, as [{openKfid, accountName}].
export function mountExport(button, accounts) {
  button.setAttribute('aria-haspopup', 'dialog');
  button.addEventListener('click', () => openDialog(accounts()));
}

function openDialog(accounts) {
  const { node: form, chosen } = createForm(accounts);
  const run = createRun();
  const dialog = h(
    'dialog', { class: 'export', 'aria-labelledby': 'export-name', data: { testid: 'export-dialog' } },
    h('h2', { id: 'export-name' }, t('console.export.title')), form, run.node,
  );

  async function go(event) {
    event.preventDefault();
    form.hidden = true;
    await run.begin(chosen());
  }

  function again() {
    run.node.hidden = true;
    form.hidden = false;
    $('button[type="submit"]', form).focus();
  }

  // Escape, or a tap beside it, must not lose what has taken a while.
  const stay = (event) => { if (run.isRunning()) event.preventDefault(); };
  const leave = () => dialog.close('');
  form.addEventListener('submit', go);
  $('[data-testid="export-cancel"]', form).addEventListener('click', leave);
  run.onLeave(leave, again);
  dialog.addEventListener('cancel', stay);
  dialog.addEventListener('close', () => {
    run.stop();
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}

// -- what is wanted

function createForm(accounts) {
  const presets = [...PRESETS.keys()].map((name) => h('button', {
    type: 'button', class: 'preset', data: { preset: name, testid: `export-${name}` }, on: { click: () => preset(name) },
  }, t(`console.export.days.${name}`)));
  const [from, to] = ['from', 'to'].map((name) => h('input', { type: 'date', name, data: { testid: `export-${name}` }, on: { input: () => mark('') } }));
  const kf = h('select', { name: 'kf', data: { testid: 'export-kf' } }, h('option', { value: '' }, t('console.accounts.all')),
    ...accounts.map((each) => h('option', { value: each.openKfid }, plain(each.accountName))));
  const node = h(
    'form', {},
    choices('what', WHAT), choices('form', Object.keys(FORMS)),
    h('fieldset', {}, h('legend', {}, t('console.export.days')), h('div', { class: 'presets' }, ...presets),
      h('div', { class: 'days' }, field('console.export.from', from), field('console.export.to', to))),
    accounts.length > 1 && field('console.column.account', kf),
    h('div', { class: 'dialog-buttons' },
      h('button', { type: 'button', class: 'button', data: { testid: 'export-cancel' } }, t('page.cancel')),
      h('button', { type: 'submit', class: 'button button-main', data: { testid: 'export-go' } }, t('console.export.go'))),
  );

  function preset(name) {
    const [days, today] = [PRESETS.get(name), now()];
    from.value = days ? dayOf(today - (days - 1) * DAY) : '';
    to.value = days ? dayOf(today) : '';
    mark(name);
  }

  function mark(name) {
    for (const each of presets) each.setAttribute('aria-pressed', String(each.dataset.preset === name));
    to.setCustomValidity(from.value && to.value && to.value < from.value ? t('console.export.order') : '');
  }

  preset(USUAL);
  return { node, chosen: () => Object.fromEntries(new FormData(node)) };
}

const field = (key, control) => h('label', { class: 'field' }, h('span', {}, t(key)), control);

const choices = (name, values) => h(
  'fieldset', {}, h('legend', {}, t(`console.export.${name}`)),
  h('div', { class: 'choices' }, ...values.map((value, index) => h(
    'label', { class: 'choice' },
    h('input', { type: 'radio', name, value, checked: index === 0, data: { testid: `export-${value}` } }), t(`console.export.${value}`),
  ))),
);

// The reader's own day; whether it is the bot's too, the file's name tells.
function dayOf(milliseconds) {
  const day = new Date(milliseconds);
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

function nameOf({ what, form, from, to }) {
  return ['kfbot', what, from, 'to', to || dayOf(now())].filter(Boolean).join('-') + `.${form}`;
}

function queryOf({ what, form, from, to, kf = '' }) {
  return String(new URLSearchParams({ what, form, since: from, until: to, kf }));
}

// -- how far it is

function createRun() {
  const bar = h('progress', { 'aria-label': t('console.export.progress'), data: { testid: 'export-progress' } });
  const counted = h('p', { class: 'export-count', data: { testid: 'export-count' } });
  const said = h('p', { role: 'status', data: { testid: 'export-said' } });
  const buttons = Object.fromEntries(['again', 'stop', 'close'].map((name) => [
    name, h('button', { type: 'button', class: 'button', data: { testid: `export-${name}` } }, t(`console.export.${name}`)),
  ]));
  const node = h('div', { hidden: true }, bar, counted, said, h('div', { class: 'dialog-buttons' }, ...Object.values(buttons)));
  let stopper = null;
  let began = 0;
  let reached = null;
  let timer = 0;

  async function begin(wanted) {
    stopper = new AbortController();
    [began, reached] = [0, null];
    show(true);
    try {
      tell(await exported(wanted, stopper.signal, progress));
    } catch (error) {
      tell(sayOf(error), error.name === 'AbortError' ? '' : 'problem');
    }
    stopper = null;
    if (reached) draw();
    clearTimeout(timer);
    timer = 0;
    show(false);
  }

  function show(isRunning) {
    node.hidden = false;
    bar.hidden = !isRunning && bar.value < bar.max;
    for (const each of [counted, buttons.stop]) each.hidden = !isRunning;
    for (const each of [said, buttons.again, buttons.close]) each.hidden = isRunning;
    if (isRunning) {
      bar.removeAttribute('value');
      setText(counted, t('console.export.preparing'));
      tell('');
    }
    (isRunning ? buttons.stop : buttons.close).focus();
    window.onbeforeunload = isRunning ? (event) => event.preventDefault() : null;
  }

  function progress(rows, total) {
    reached = { rows, total };
    began = began || performance.now();
    if (!timer) draw();
  }

  function draw() {
    const { rows, total } = reached;
    [bar.max, bar.value] = [total || 1, Math.min(rows, total)];
    const speed = count(rows / Math.max(performance.now() - began, 1) * 1000);
    setText(counted, t('console.export.running', { rows: count(rows), total: count(total), speed }));
    timer = setTimeout(() => {
      timer = 0;
      if (reached.rows > rows) draw();
    }, EVERY);
  }

  function tell(text, kind = '') {
    setText(said, text);
    said.className = kind;
  }

  buttons.stop.addEventListener('click', () => stop());
  const stop = () => { if (stopper) stopper.abort(); };
  const isRunning = () => stopper !== null;

  function onLeave(leave, again) {
    buttons.close.addEventListener('click', leave);
    buttons.again.addEventListener('click', again);
  }

  return { node, begin, stop, isRunning, onLeave };
}

// Returns what there is to say of it.
async function exported(wanted, signal, onRows) {
  const file = await openFile(nameOf(wanted), FORMS[wanted.form]);
  try {
    const rows = await download({ query: queryOf(wanted), file, form: wanted.form, signal, onRows });
    if (!rows) {
      await file.drop();
      return t('console.export.none');
    }
    await file.save();
    return t('console.export.done', { rows: count(rows), name: file.name });
  } catch (error) {
    await Promise.resolve(file.drop()).catch(() => {});
    throw error;
  }
}

function sayOf(error) {
  if (error.name === 'AbortError') return t('console.export.stopped');
  if (error instanceof ApiError) return error.status === 429 ? t('console.export.busy') : error.message;
  if (error instanceof Broken) return error.total ? t('console.export.broken', { rows: count(error.rows), total: count(error.total) }) : t('console.network');
  return t('console.export.unsaved', { why: error instanceof Unsaved ? error.message : String(error) });
}
