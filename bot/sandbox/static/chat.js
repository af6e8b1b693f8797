// Bubbles of a customer-service chat, as the customer and the servicer see them.

import { h } from './dom.js';

const ADDRESS = /(https?:\/\/[^\s<>"'`()（），。、；]+)/;

export function linked(text) {
  return (text ?? '').split(ADDRESS).map((part, index) => (
    index % 2 ? h('a', { class: 'address', href: part, title: part, target: '_blank', rel: 'noopener noreferrer' }, part) : part
  ));
}

function menu(data, choose) {
  const items = data.items.map((item) => h('li', {}, choose
    ? h('button', { type: 'button', class: 'menu-item', data: { testid: 'menu-item', id: item.id }, on: { click: () => choose(item) } }, item.content)
    : h('span', { class: 'menu-item' }, item.content)));
  return [
    data.head && h('p', { class: 'menu-head' }, ...linked(data.head)),
    h('ul', { class: 'menu' }, ...items),
    data.tail && h('p', { class: 'menu-tail' }, ...linked(data.tail)),
  ];
}

// view: testid, time, mine (on the right), name and avatar of the speaker, choose(item) for menus the reader may tap.
export function chatMessage(message, view) {
  const data = { testid: view.testid, id: message.id, from: message.from };
  if (message.from === 'system') return h('div', { class: 'line', data, title: view.time }, h('span', {}, message.text));
  const content = message.menu ? menu(message.menu, view.choose) : linked(message.text);
  return h('div', { class: `msg ${view.mine ? 'msg-mine' : 'msg-theirs'}`, data },
    view.avatar,
    h('div', { class: 'msg-body' },
      view.name && h('span', { class: 'msg-name' }, view.name),
      h('div', { class: 'bubble', title: view.time }, ...content)));
}
