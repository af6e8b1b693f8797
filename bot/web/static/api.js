// Calls of the HTTP API. The cookie speaks for us; the header says that it is our own page which asks.

const PATIENCE = 30000;
const JITTER = 1000; // the header has whole seconds, and the way takes its time: so much proves no difference

export class ApiError extends Error {
  constructor(code, message, status, retryAfter = 0) {
    super(message);
    Object.assign(this, { code, status, retryAfter });
  }
}

let ahead = 0; // milliseconds by which the bot's clock is before ours

export const now = () => Date.now() + ahead;

function setClock(reply) {
  const date = Date.parse(reply.headers.get('Date') ?? '');
  if (Number.isNaN(date)) return;
  const measured = date + JITTER / 2 - Date.now();
  if (Math.abs(measured - ahead) > JITTER) ahead = measured; // or running clocks would tremble
}

// By hand: a signal with a time limit is too young for the browsers inside other apps.
async function patiently(work) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), PATIENCE);
  try {
    return await work(aborter.signal);
  } finally {
    clearTimeout(timer);
  }
}

async function answer(signal, method, path, body) {
  const reply = await fetch(`/api${path}`, {
    method,
    headers: { 'X-Requested-With': 'kfbot', ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
    credentials: 'same-origin',
    signal,
  });
  setClock(reply);
  if (!reply.ok) throw await failure(reply);
  return reply;
}

// The answer as soon as it begins; its body may take as long as it likes.
export const ask = (method, path, body) => patiently((signal) => answer(signal, method, path, body));

// The `data` of the answer. Throws ApiError, or what fetch throws where nobody answers.
export const call = (method, path, body) =>
  patiently(async (signal) => (await (await answer(signal, method, path, body)).json()).data);

// The last live event that the bot had told when it answered: what comes after it may be missing in the answer.
export const lastEvent = (reply) => Number(reply.headers.get('X-Last-Event-Id') ?? 0);

async function failure(reply) {
  let error = {};
  try { error = (await reply.json()).error ?? {}; } catch { /* a proxy's page */ }
  return new ApiError(error.code ?? 'INTERNAL', error.message ?? `${reply.status}`, reply.status, Number(reply.headers.get('Retry-After') ?? 0));
}
