// Where a download goes: straight into a file where the browser has the means, so that a million rows need no memory;
// else into parts that it keeps for us, and a link to save them by.

import { h } from './dom.js';

const PART = 8 * 1024 * 1024; // bytes; a browser puts such parts on disk
const LATER = 60000; // milliseconds until the saved parts may go

// write(bytes), then either save() or drop(). Rejects with an AbortError where the reader does not choose a file.
export async function openFile(name, type) {
  return window.showSaveFilePicker ? ownFile(name, type) : keptParts(name, type);
}

async function ownFile(name, type) {
  const ending = name.slice(name.lastIndexOf('.'));
  const handle = await window.showSaveFilePicker({ suggestedName: name, types: [{ accept: { [type]: [ending] } }] });
  const file = await handle.createWritable();
  return {
    name: handle.name,
    write: (bytes) => file.write(bytes),
    save: () => file.close(),
    async drop() {
      await file.abort();
      if (handle.remove && (await handle.getFile()).size === 0) await handle.remove(); // to choose it has made it
    },
  };
}

function keptParts(name, type) {
  let [parts, fresh, size] = [[], [], 0];

  function write(bytes) {
    fresh.push(bytes);
    size += bytes.length;
    if (size < PART) return;
    parts.push(new Blob(fresh));
    [fresh, size] = [[], 0];
  }

  function save() {
    const address = URL.createObjectURL(new Blob([...parts, ...fresh], { type }));
    const link = h('a', { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), LATER);
  }

  return { name, write, save, drop() { [parts, fresh] = [[], []]; } };
}
