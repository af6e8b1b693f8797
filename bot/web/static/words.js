// What the page says. Both languages come with the page, from the bot's own wording; whoever reads may choose.

const TEXTS = JSON.parse(document.getElementById('words').textContent);
const KEPT = 'kfbot-lang';

let chosen = remembered() ?? (document.documentElement.lang.startsWith('zh') ? 'zh' : 'en');

function remembered() {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept in TEXTS ? kept : null;
  } catch {
    return null; // storage may be forbidden
  }
}

export const language = () => chosen;

export function t(key, values = {}) {
  const text = TEXTS[chosen][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

export const count = (number) => number.toLocaleString(chosen);

export const has = (key) => key in TEXTS[chosen];

export function switchLanguage() {
  chosen = chosen === 'zh' ? 'en' : 'zh';
  try { localStorage.setItem(KEPT, chosen); } catch { /* it lasts as long as the page */ }
}

// data-t: the element's text, data-t-label: its accessible name, data-t-hint: its placeholder, data-t-title: its title.
export function translate(root = document) {
  document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en';
  for (const node of root.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t(node.dataset.tLabel));
  for (const node of root.querySelectorAll('[data-t-hint]')) node.setAttribute('placeholder', t(node.dataset.tHint));
  for (const node of root.querySelectorAll('[data-t-title]')) node.setAttribute('title', t(node.dataset.tTitle));
}
