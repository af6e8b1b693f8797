// Small DOM helpers. Text only ever enters the page through text nodes.

const SVG = 'http://www.w3.org/2000/svg';
const COLOURS = 8;

export const $ = (selector, root = document) => root.querySelector(selector);

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (name === 'data') Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `/sandbox/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

// Chinese names show their last two characters, as WeCom does; others their initials.
function initials(name) {
  const text = (name || '?').trim();
  if (/[㐀-鿿]/.test(text)) return [...text.replace(/[^㐀-鿿]/g, '')].slice(-2).join('');
  const words = text.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0][0] + words[1][0] : text.slice(0, 2);
  return letters.toUpperCase();
}

function colour(id) {
  let hash = 2166136261;
  for (const char of id || '') hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return (hash >>> 16) % COLOURS;
}

export function avatar(id, name, kind = 'person') {
  if (kind === 'bot') return h('span', { class: 'avatar avatar-bot', 'aria-hidden': 'true' }, icon('bot'));
  if (kind === 'kf') return h('span', { class: 'avatar avatar-kf', 'aria-hidden': 'true' }, icon('headset'));
  return h('span', { class: `avatar avatar-${colour(id)}`, 'aria-hidden': 'true' }, initials(name || id));
}

// Fill a <select>, touching it only when its options changed, so that an open list stays open.
export function fillSelect(select, options, value) {
  const signature = JSON.stringify(options);
  if (select.dataset.signature !== signature) {
    select.dataset.signature = signature;
    select.replaceChildren(...options.map(([key, label]) => h('option', { value: key }, label)));
  }
  select.value = value ?? '';
}

// A button that opens a small panel: Escape and a click elsewhere close it.
export function disclosure(button, panel, onOpen) {
  const close = () => {
    panel.hidden = true;
    button.setAttribute('aria-expanded', 'false');
  };
  button.setAttribute('aria-expanded', 'false');
  button.addEventListener('click', () => {
    if (!panel.hidden) return close();
    onOpen();
    panel.hidden = false;
    button.setAttribute('aria-expanded', 'true');
    panel.querySelector('input, button')?.focus();
  });
  panel.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    close();
    button.focus();
  });
  document.addEventListener('pointerdown', (event) => {
    if (!panel.contains(event.target) && !button.contains(event.target)) close();
  });
  return close;
}

// Enter sends (not while an input method composes), Shift+Enter breaks the line. The text stays when sending fails.
export function composer(input, button, submit) {
  const refresh = () => { button.disabled = input.disabled || !input.value.trim(); };
  const send = async () => {
    const text = input.value.trim();
    if (!text || input.disabled) return;
    const sent = await submit(text);
    if (sent && input.value.trim() === text) input.value = '';
    input.dispatchEvent(new Event('input'));
    input.focus();
  };
  input.addEventListener('input', refresh);
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  button.addEventListener('click', send);
  refresh();
  return { refresh };
}

export function setText(input, text) {
  input.value = text;
  input.dispatchEvent(new Event('input'));
  input.focus();
  input.setSelectionRange(text.length, text.length);
}

let toastTimer;

export function toast(text) {
  const box = $('#toast');
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true; }, 6000);
}
