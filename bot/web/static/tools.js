// What stands above the table: kinds with their counts, filters, the search and, where there are no headers, the order.

import { $, h, setText } from './dom.js';
import { DOWN, fromAddress, KINDS, ORDERS, unfiltered } from './filters.js';
import { plain } from './names.js';
import { t } from './words.js';

const SOON = 150; // milliseconds after a key

// onChange(): what is chosen has changed. `me`: whose console it is.
export function createTools({ onChange }) {
  let chosen = fromAddress();
  let me = { userId: '', accounts: [] };
  let servicers = [];
  let counts = {};
  let timer = 0;
  const kinds = Object.keys(KINDS).map(kindButton);
  const headers = [...document.querySelectorAll('th[data-sort]')];
  const search = $('#search');
  $('#kinds').append(...kinds);

  function kindButton(kind) {
    return h(
      'button', { type: 'button', class: 'kind', data: { kind, testid: `kind-${kind}` }, on: { click: () => set({ kind }) } },
      h('span'), h('b'),
    );
  }

  function set(values) {
    chosen = { ...chosen, ...values };
    draw();
    onChange();
  }

  // -- drawing

  function draw() {
    for (const button of kinds) {
      button.setAttribute('aria-pressed', String(button.dataset.kind === chosen.kind));
      setText(button.firstChild, t(`console.kind.${button.dataset.kind}`));
      setText(button.lastChild, String(counts[button.dataset.kind] ?? ''));
    }
    drawHeaders();
    options($('#kf'), [['', t('console.accounts.all')], ...me.accounts.map((each) => [each.openKfid, plain(each.accountName)])], chosen.kf);
    options($('#servicer'), [['', t('console.servicers.all')], ...servicers.map(named)], chosen.servicer);
    options($('#sort'), ORDERS.flatMap(bothWays), chosen.sort);
    if (document.activeElement !== search) search.value = chosen.q;
  }

  const named = (servicer) => [servicer, servicer === me.userId ? t('console.servicers.me', { who: plain(servicer) }) : plain(servicer)];

  function bothWays(order) {
    const word = t(`console.column.${order}`);
    const ways = [[order, t('console.sort.up', { word })], [`-${order}`, t('console.sort.down', { word })]];
    return DOWN[order] ? ways.reverse() : ways;
  }

  function drawHeaders() {
    const order = chosen.sort.replace(/^-/, '');
    for (const header of headers) {
      if (header.dataset.sort !== order) header.removeAttribute('aria-sort');
      else header.setAttribute('aria-sort', chosen.sort.startsWith('-') ? 'descending' : 'ascending');
    }
  }

  // -- what somebody does

  function sortBy(order) {
    const usual = DOWN[order] ? `-${order}` : order;
    const other = DOWN[order] ? order : `-${order}`;
    set({ sort: chosen.sort === usual ? other : usual });
  }

  for (const header of headers) $('button', header).addEventListener('click', () => sortBy(header.dataset.sort));
  for (const name of ['kf', 'servicer', 'sort']) $(`#${name}`).addEventListener('change', (event) => set({ [name]: event.target.value }));
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => set({ q: search.value }), SOON);
  });

  return {
    chosen: () => chosen,
    set,
    draw,
    clear() {
      search.value = '';
      set(unfiltered(chosen));
    },
    isFiltered: () => Boolean(chosen.kf || chosen.servicer || chosen.q || chosen.kind !== 'all'),
    knowMe(values) { me = values; },
    // Drawn only where something differs: an open list would close.
    know(nowCounts, agents) {
      const all = new Set([...agents, me.userId, chosen.servicer].filter(Boolean));
      const sorted = [...all].sort((a, b) => (b === me.userId) - (a === me.userId) || (a < b ? -1 : 1));
      const isSame = JSON.stringify([counts, servicers]) === JSON.stringify([nowCounts, sorted]);
      [counts, servicers] = [nowCounts, sorted];
      if (!isSame) draw();
    },
  };
}

function options(select, wanted, value) {
  const has = [...select.options].map((option) => [option.value, option.text]);
  const all = wanted.some(([each]) => each === value) ? wanted : [...wanted, [value, value]];
  if (JSON.stringify(has) !== JSON.stringify(all)) select.replaceChildren(...all.map(([each, text]) => h('option', { value: each }, text)));
  select.value = value;
}
