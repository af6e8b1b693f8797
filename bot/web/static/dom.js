// Small DOM helpers. Text only ever enters the page through text nodes.

export const $ = (selector, root = document) => root.querySelector(selector);

// Only where it differs: what a screen reader watches is read out when it is written.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

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

// A <dialog> as a question: resolves to the value of the button that closed it, '' for Escape or a click beside it.
export function answered(dialog) {
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    const beside = (event) => { if (event.target === dialog && isBeside(dialog, event)) dialog.close(''); };
    dialog.addEventListener('click', beside);
    dialog.addEventListener('close', () => {
      dialog.removeEventListener('click', beside);
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

// What is tapped on the backdrop, or between the buttons, has the dialog as its target.
function isBeside(dialog, { clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
