// How the console learns what is open: all of it at first and now and then, what has been said lately every few
// seconds, and single handoffs as live events name them.

import { ApiError, ask, call, now } from './api.js';
import { isOpen } from './handoffs.js';
import { LIST } from './opening.js';

const MOST_PAGES = 5;
const POLL = 5000; // milliseconds between two looks at what has been said
const FAST = 1000; // the same, while the bot's clock runs away from ours: a demo
const RUNS_AWAY = 3000;
const OVERLAP = 10; // seconds
const WHOLE = 120000; // between two looks at everything
const WHOLE_ONLY = 30000; // the same, where nobody can say what has been said lately
const SOON = 120; // milliseconds in which events are gathered
const SINGLY = 4; // handoffs looked up one by one; more of them are looked up in the list
const APART = 500; // the least between two times of looking up: the API counts our questions
const LISTS_APART = 2000; // the same where it is the list

// onRead({ ids, news, partial }): which may have changed, which of them an event told of, whether some are left out.
// onOver(handoff): it has ended. onTrouble(error): an answer did not come; null when one has come again.
export function createReading({ handoffs, onRead, onOver, onTrouble }) {
  let heardAt = 0; // bot's time of the last answer about what has been said, in seconds
  let wholeAt = -WHOLE;
  let lookedUpAt = -APART;
  let byLately = true;
  let timer = 0;
  let soon = 0;
  let stopped = false;
  const named = new Set();

  // -- everything

  async function whole(reply, news = []) {
    const reading = handoffs.begin();
    const read = await pages(LIST, reading, reply ?? await ask('GET', LIST), news);
    wholeAt = performance.now();
    handoffs.sweep(reading, read.floor);
    onRead({ ids: [], news: [], partial: read.floor > 0 });
  }

  async function pages(path, reading, first, news) {
    let reply = first;
    for (let page = 1; ; page += 1) {
      const at = now();
      const { items, nextCursor } = (await reply.json()).data;
      onRead({ ids: items.filter((each) => handoffs.put(each, reading)).map((each) => each.id), news });
      if (page === 1) heardAt = Math.floor(at / 1000);
      if (!nextCursor) return { floor: 0 };
      if (page === MOST_PAGES) return { floor: items.at(-1).id };
      reply = await ask('GET', `${path}&cursor=${nextCursor}`);
    }
  }

  // -- what has been said lately

  async function look() {
    const expected = clockAhead();
    try {
      await (isWholeDue() ? whole() : lately());
      onTrouble(null);
      if (named.size) await lookUp();
    } catch (error) {
      if (error instanceof ApiError && error.status === 400 && byLately) byLately = false;
      else onTrouble(error);
    }
    plan(Math.abs(clockAhead() - expected) > RUNS_AWAY ? FAST : POLL);
  }

  const clockAhead = () => now() - Date.now();
  const isWholeDue = () => performance.now() - wholeAt > (byLately ? WHOLE : WHOLE_ONLY);

  async function lately() {
    if (!byLately) return;
    const path = `${LIST}&activeSince=${heardAt - OVERLAP}`;
    const reading = handoffs.begin();
    await pages(path, reading, await ask('GET', path), []);
  }

  // -- what events name

  function hear(id) {
    named.add(id);
    soon ||= setTimeout(lookUp, Math.max(SOON, lookedUpAt + APART - performance.now()));
  }

  async function lookUp() {
    const ids = [...named];
    const isMany = ids.length > SINGLY;
    const wait = isMany ? wholeAt + LISTS_APART - performance.now() : 0;
    soon = wait > 0 ? setTimeout(lookUp, wait) : 0;
    if (soon || stopped) return;
    lookedUpAt = performance.now();
    named.clear();
    try {
      await (isMany ? whole(undefined, ids) : Promise.all(ids.map(one)));
    } catch (error) {
      for (const id of ids) named.add(id); // the next look tries again
      onTrouble(error);
    }
  }

  async function one(id) {
    const reading = handoffs.begin();
    const found = await looked(id);
    if (!found) handoffs.end(id);
    else if (!isOpen(found)) return onOver(found);
    else if (!handoffs.put(found, reading)) return;
    onRead({ ids: [id], news: [id] });
  }

  // Null where there is none that we may see.
  async function looked(id) {
    try {
      return await call('GET', `/handoffs/${id}`);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  // -- when

  function plan(milliseconds) {
    clearTimeout(timer);
    if (!stopped && document.visibilityState !== 'hidden') timer = setTimeout(look, milliseconds);
  }

  const seen = () => plan(0);
  document.addEventListener('visibilitychange', seen);

  return {
    hear,
    start: () => plan(POLL),
    // `reply`: the first page, where it has been asked for already.
    async again(reply) {
      try {
        await whole(reply);
      } catch (error) {
        onTrouble(error);
      }
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(soon);
      document.removeEventListener('visibilitychange', seen);
    },
  };
}
