// WeCom markdown (both kinds) to DOM nodes. No HTML string is ever built: what people write stays text.

import { h, icon } from './dom.js';

const DEEPEST = 6;
const FENCE = /^\s*(```|~~~)/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const RULE = /^\s*([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^\s*>/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

const INLINE = new RegExp([
  /\\([\\`*_~[\]()#>!|.-])/, // 1 escaped character
  /(`{1,2})(?!`)([\s\S]{1,1000}?[^`])??\2(?!`)/, // 2 ticks, 3 code
  /!?\[([^\]\n]{0,300})\]\(([^()\s]{1,1000})\)/, // 4 label, 5 address
  /\*\*(?=\S)([\s\S]{1,2000}?)\*\*/, // 6 bold
  /\*(?=[^\s*])([^*\n]{1,500})\*/, // 7 italics
  /(?<!\w)_(?=\S)([^_\n]{1,500})_(?!\w)/, // 8 italics
  /~~(?=\S)([^~\n]{1,500})~~/, // 9 struck out
  /<font color=["']?(info|comment|warning)["']?>([\s\S]{0,2000}?)<\/font>/, // 10 colour, 11 coloured text
  /<@([\w.@-]{1,64})>/, // 12 mentioned member
  /(https?:\/\/[^\s<>"'`()（），。、；]{1,1000})/, // 13 bare address
].map((part) => part.source).join('|'), 'g');

function link(label, address) {
  if (!/^https?:\/\//i.test(address)) return h('span', {}, label);
  return h('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, label);
}

function code(text, hooks) {
  const act = hooks.code(text);
  if (!act) return h('code', {}, text);
  return h('button', { type: 'button', class: 'code-act', title: hooks.codeHint, on: { click: act } }, text);
}

function plain(text) {
  const out = [];
  text.split('\n').forEach((line, index) => {
    if (index) out.push(h('br'));
    if (line) out.push(document.createTextNode(line));
  });
  return out;
}

function inline(text, hooks, depth = 0) {
  if (depth > DEEPEST) return plain(text);
  const out = [];
  let from = 0;
  for (const m of text.matchAll(INLINE)) {
    out.push(...plain(text.slice(from, m.index)));
    from = m.index + m[0].length;
    const inner = (part) => inline(part, hooks, depth + 1);
    if (m[1] !== undefined) out.push(m[1]);
    else if (m[2]) out.push(code((m[3] ?? '').trim(), hooks));
    else if (m[5]) out.push(link(m[4] || m[5], m[5]));
    else if (m[6]) out.push(h('strong', {}, ...inner(m[6])));
    else if (m[7] || m[8]) out.push(h('em', {}, ...inner(m[7] || m[8])));
    else if (m[9]) out.push(h('s', {}, ...inner(m[9])));
    else if (m[10]) out.push(h('span', { class: `font-${m[10]}` }, ...inner(m[11])));
    else if (m[12]) out.push(h('span', { class: 'mention' }, `@${hooks.name(m[12])}`));
    else out.push(link(m[13], m[13]));
  }
  out.push(...plain(text.slice(from)));
  return out;
}

function fenced(lines, start, hooks) {
  const mark = lines[start].match(FENCE)[1];
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  const text = lines.slice(start + 1, end).join('\n');
  const act = hooks.code(text.trim());
  const button = act && h('button', { type: 'button', class: 'pre-act', title: hooks.codeHint, 'aria-label': hooks.codeHint, on: { click: act } }, icon('insert'));
  return [h('div', { class: 'pre' }, h('pre', { tabindex: '0' }, h('code', {}, text)), button), end + 1];
}

function cells(line) {
  const row = line.trim().replace(/^\|/, '').replace(/(?<!\\)\|$/, '');
  return row.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

function table(lines, start, hooks) {
  const align = cells(lines[start + 1]).map((cell) => (/^:-+:$/.test(cell) ? 'middle' : /-:$/.test(cell) ? 'right' : 'left'));
  const row = (tag, line) => h('tr', {}, ...cells(line).map((cell, i) => h(tag, { class: `cell-${align[i] ?? 'left'}` }, ...inline(cell, hooks))));
  let end = start + 2;
  while (end < lines.length && lines[end].includes('|')) end += 1;
  const body = lines.slice(start + 2, end).map((line) => row('td', line));
  const grid = h('table', {}, h('thead', {}, row('th', lines[start])), h('tbody', {}, ...body));
  return [h('div', { class: 'table', tabindex: '0' }, grid), end];
}

function list(lines, start, hooks, depth) {
  const [, margin, mark] = lines[start].match(ITEM);
  const ordered = /\d/.test(mark);
  const node = ordered ? h('ol', { start: parseInt(mark, 10) }) : h('ul');
  let at = start;
  while (at < lines.length) {
    const m = lines[at].match(ITEM);
    if (!m || m[1].length !== margin.length || /\d/.test(m[2]) !== ordered) break;
    const body = [m[3]];
    at += 1;
    while (at < lines.length && lines[at].trim() && lines[at].search(/\S/) > margin.length) {
      body.push(lines[at].slice(Math.min(lines[at].search(/\S/), margin.length + 2)));
      at += 1;
    }
    node.append(h('li', {}, ...blocks(body, hooks, depth + 1)));
  }
  return [node, at];
}

function quoted(lines, start, hooks, depth) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const body = lines.slice(start, end).map((line) => line.replace(/^\s*>\s?/, ''));
  return [h('blockquote', {}, ...blocks(body, hooks, depth + 1)), end];
}

const isTable = (lines, at) => lines[at].includes('|') && at + 1 < lines.length && lines[at + 1].includes('-') && DIVIDER.test(lines[at + 1]);

function opens(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) || isTable(lines, at);
}

function paragraph(lines, start, hooks) {
  let end = start + 1;
  while (end < lines.length && lines[end].trim() && !opens(lines, end)) end += 1;
  return [h('p', {}, ...inline(lines.slice(start, end).join('\n'), hooks)), end];
}

function block(lines, at, hooks, depth) {
  const line = lines[at];
  if (depth > DEEPEST) return paragraph(lines, at, hooks);
  if (FENCE.test(line)) return fenced(lines, at, hooks);
  if (RULE.test(line)) return [h('hr'), at + 1];
  if (QUOTE.test(line)) return quoted(lines, at, hooks, depth);
  if (isTable(lines, at)) return table(lines, at, hooks);
  if (ITEM.test(line)) return list(lines, at, hooks, depth);
  const heading = line.match(HEADING);
  if (heading) return [h('p', { class: `heading heading-${heading[1].length}`, role: 'heading', 'aria-level': '3' }, ...inline(heading[2], hooks)), at + 1];
  return paragraph(lines, at, hooks);
}

function blocks(lines, hooks, depth) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) { at += 1; continue; }
    const [node, next] = block(lines, at, hooks, depth);
    out.push(node);
    at = next;
  }
  return out;
}

// hooks: name(userid) for mentions; code(text) gives what a click on that code does, or null; codeHint is its tooltip.
export function markdown(source, hooks) {
  return h('div', { class: 'md' }, ...blocks(source.replace(/\r\n?/g, '\n').split('\n'), hooks, 0));
}
