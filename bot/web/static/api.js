// Calls of the HTTP API. The cookie speaks for us; the header says that it is our own page which asks.

const PATIENCE = 30000;

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
  // The header has whole seconds: half of one is the best guess.
  if (!Number.isNaN(date)) ahead = date + 500 - Date.now();
}

export async function ask(method, path, body) {
  const reply = await fetch(`/api${path}`, {
    method,
    headers: { 'X-Requested-With': 'kfbot', ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
    credentials: 'same-origin',
    signal: AbortSignal.timeout(PATIENCE),
  });
  setClock(reply);
  if (!reply.ok) throw await failure(reply);
  return reply;
}

// The `data` of the answer. Throws ApiError, or what fetch throws where nobody answers.
export async function call(method, path, body) {
  return (await (await ask(method, path, body)).json()).data;
}

// The last live event that the bot had told when it answered: what comes after it may be missing in the answer.
export const lastEvent = (reply) => Number(reply.headers.get('X-Last-Event-Id') ?? 0);

async function failure(reply) {
  let error = {};
  try { ({ error } = await reply.json()); } catch { /* a proxy's page */ }
  return new ApiError(error.code ?? 'INTERNAL', error.message ?? `${reply.status}`, reply.status, Number(reply.headers.get('Retry-After') ?? 0));
}
