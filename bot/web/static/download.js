// One export: asked for, read as it comes, counted by rows.

import { ApiError } from './api.js';

const QUOTE = 34;
const NEWLINE = 10;

// A reply that ended before all of it came, `rows` of `total`; or never began.
export class Broken extends Error {
  constructor(rows, total) {
    super();
    Object.assign(this, { rows, total });
  }
}

// What the browser says of a file it cannot write.
export class Unsaved extends Error {}

// onRows(rows, total): as they come. Returns how many rows there were; the file has them then, unless there were none.
// Throws ApiError, Broken, Unsaved, and an AbortError where `signal` says stop.
export async function download({ query, file, form, signal, onRows }) {
  const count = counter(form);
  let [rows, total] = [0, 0];
  try {
    const reply = await asked(query, signal);
    total = Number(reply.headers.get('X-Total-Count'));
    onRows(0, total);
    for (const reader = reply.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) return rows;
      rows = count(value);
      await unlessStopped(signal, written(file, value));
      onRows(rows, total);
    }
  } catch (error) {
    if (error instanceof ApiError || error instanceof Unsaved || error.name === 'AbortError') throw error;
    throw new Broken(rows, total);
  }
}

async function asked(query, signal) {
  const reply = await fetch(`/api/agent/export?${query}`, { headers: { 'X-Requested-With': 'kfbot' }, credentials: 'same-origin', signal });
  if (reply.ok) return reply;
  let error = {};
  try { error = (await reply.json()).error ?? {}; } catch { /* a proxy's page */ }
  throw new ApiError(error.code ?? 'INTERNAL', error.message ?? `${reply.status}`, reply.status);
}

async function written(file, bytes) {
  try {
    await file.write(bytes);
  } catch (error) {
    throw new Unsaved(error.message);
  }
}

// A disk may keep us waiting; whoever stops it is not to wait with us.
function unlessStopped(signal, work) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException('', 'AbortError'));
    signal.addEventListener('abort', stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

// Rows so far. In CSV the first is the heading's, and what is quoted may have ends of lines in it.
function counter(form) {
  const hasQuotes = form === 'csv';
  let isQuoted = false;
  let lines = 0;
  return (bytes) => {
    for (let place = 0; place < bytes.length; place += 1) {
      if (bytes[place] === NEWLINE) lines += isQuoted ? 0 : 1;
      else if (hasQuotes && bytes[place] === QUOTE) isQuoted = !isQuoted;
    }
    return hasQuotes ? Math.max(0, lines - 1) : lines;
  };
}
