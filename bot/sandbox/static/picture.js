// A picture on its own: first whole, then, on a click, in its own size to read and scroll.

import { $ } from './dom.js';

const box = $('#picture');
const image = $('#picture img');

export function openPicture(src) {
  image.src = src;
  box.dataset.full = 'false';
  box.showModal();
}

const whole = () => image.naturalWidth <= image.clientWidth;

box.addEventListener('click', (event) => {
  if (event.target !== image || (box.dataset.full === 'false' && whole())) box.close();
  else box.dataset.full = String(box.dataset.full === 'false');
});
