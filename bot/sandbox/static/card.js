// WeCom template cards, as members of the group see and tap them.

import { h } from './dom.js';
import { t } from './words.js';

const SILENCE = 5500;
const STYLES = { 1: 'primary', 2: 'danger', 3: 'plain', 4: 'quiet' };
const SOURCE_COLOURS = ['grey', 'black', 'red', 'green'];

function source(data) {
  if (!data?.desc) return null;
  return h('p', { class: `card-source source-${SOURCE_COLOURS[data.desc_color] ?? 'grey'}` }, data.desc);
}

function title(data) {
  if (!data) return null;
  return h('div', { class: 'card-title' }, data.title && h('strong', {}, data.title), data.desc && h('span', {}, data.desc));
}

function quoteArea(data) {
  if (!data) return null;
  return h('blockquote', { class: 'card-quote' }, data.title && h('strong', {}, data.title), data.quote_text && h('span', {}, data.quote_text));
}

function facts(rows, code) {
  if (!rows?.length) return null;
  const value = (row) => {
    const act = code(row.value ?? '');
    if (act) return h('button', { type: 'button', class: 'code-act', title: t('insert'), on: { click: act } }, row.value);
    if (row.type === 1 && /^https?:\/\//i.test(row.url ?? '')) return h('a', { href: row.url, target: '_blank', rel: 'noopener noreferrer' }, row.value || row.url);
    return row.value ?? '';
  };
  return h('dl', { class: 'card-facts' }, ...rows.map((row) => h('div', {}, h('dt', {}, row.keyname), h('dd', {}, value(row)))));
}

function jumps(rows) {
  const links = (rows ?? []).filter((row) => /^https?:\/\//i.test(row.url ?? ''));
  return links.map((row) => h('a', { class: 'card-jump', href: row.url, target: '_blank', rel: 'noopener noreferrer' }, row.title));
}

// Up to three short buttons stand side by side; more of them, or longer ones, in rows of the same width.
function columns(list) {
  const longest = Math.max(0, ...list.map((item) => [...(item.text ?? '')].reduce((width, char) => width + (char > '\u2e80' ? 2 : 1), 0)));
  if (longest > 16) return 1;
  if (longest > 9 || list.length === 4) return Math.min(list.length, 2);
  return Math.min(list.length, 3);
}

// A tap greys the buttons until the sandbox shows the bot's new card, or until the five seconds a bot has are over.
function buttons(list, note, tap) {
  const row = h('div', { class: 'card-buttons', data: { columns: columns(list ?? []) } });
  const settle = (text) => {
    for (const other of row.children) other.disabled = false;
    row.querySelector('[aria-busy]')?.removeAttribute('aria-busy');
    note.textContent = text;
  };
  for (const item of list ?? []) {
    const style = STYLES[item.style] ?? 'primary';
    const button = h('button', { type: 'button', class: `card-button button-${style}`, data: { testid: 'card-button', key: item.key } }, item.text);
    button.addEventListener('click', async () => {
      for (const other of row.children) other.disabled = true;
      button.setAttribute('aria-busy', 'true');
      note.textContent = t('cardWaiting');
      if (!await tap(item.key)) return settle('');
      setTimeout(() => { if (row.isConnected) settle(t('cardSilent')); }, SILENCE);
    });
    row.append(button);
  }
  return row.children.length ? row : null;
}

// hooks: tap(key) sends a tap and tells whether it was accepted; code(text) as in markdown.js; updated: the bot changed this card; flash: just now.
export function card(data, hooks) {
  const note = h('p', { class: 'card-note', role: 'status' }, hooks.updated ? t('cardUpdated') : '');
  const emphasis = data.emphasis_content;
  return h('article', { class: `card ${hooks.flash ? 'card-flash' : ''}`, 'aria-label': t('card') },
    source(data.source),
    title(data.main_title),
    emphasis && h('p', { class: 'card-emphasis' }, h('strong', {}, emphasis.title), h('span', {}, emphasis.desc)),
    quoteArea(data.quote_area),
    data.sub_title_text && h('p', { class: 'card-sub' }, data.sub_title_text),
    facts(data.horizontal_content_list, hooks.code),
    ...jumps(data.jump_list),
    buttons(data.button_list, note, hooks.tap),
    note);
}
