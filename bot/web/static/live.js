// Live events over a WebSocket that comes back by itself and catches up from the last event it has heard.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15000;
const PING_EVERY = 20000;
const ANSWER_WITHIN = 10000;
const UNAUTHENTICATED = 4401;

// path: /ws/customer or /ws/agent, for which the page's cookie speaks. after: the last event that what the page shows
// has in it (`lastEvent` of the answer it came with).
// onEvent(event): each event, once, in order. onReset(): too much was missed, load anew what is shown.
// onLink(up): whether we are connected. onRefused(): the cookie is worth nothing any more; no more is tried.
export function listen({ path, after, onEvent, onReset, onLink, onRefused }) {
  let socket = null;
  let last = after;
  let pause = FIRST_PAUSE;
  let timer = 0;
  let answer = 0;
  let stopped = false;

  function open() {
    clearTimeout(timer);
    if (stopped || socket) return;
    const mine = socket = new WebSocket(`${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${path}`);
    const alive = setInterval(() => ping(mine), PING_EVERY);
    expectAnswer(mine);
    mine.addEventListener('open', () => mine.send(JSON.stringify({ type: 'AUTH', after: last })));
    mine.addEventListener('message', (message) => { if (mine === socket) hear(JSON.parse(message.data)); });
    mine.addEventListener('close', (event) => {
      clearInterval(alive);
      if (mine === socket) lost(event.code);
    });
  }

  function hear(frame) {
    clearTimeout(answer);
    if (frame.type === 'PONG') return;
    if (frame.type === 'READY') {
      last = frame.lastEventId;
      pause = FIRST_PAUSE;
      onLink(true);
    } else if (frame.type === 'RESET') {
      onReset();
    } else if (frame.id === undefined || frame.id > last) {
      last = frame.id ?? last;
      onEvent(frame);
    }
  }

  function ping(mine) {
    if (mine.readyState !== WebSocket.OPEN) return;
    mine.send('{"type":"PING"}');
    expectAnswer(mine);
  }

  function expectAnswer(mine) {
    clearTimeout(answer);
    answer = setTimeout(drop, ANSWER_WITHIN, mine);
  }

  // A dead network may never say so: what comes from the old socket is not heard any more.
  function drop(mine) {
    if (mine !== socket) return;
    mine.close();
    lost(0);
  }

  function lost(code) {
    socket = null;
    clearTimeout(answer);
    if (stopped) return;
    onLink(false);
    if (code === UNAUTHENTICATED) {
      stopped = true;
      onRefused();
      return;
    }
    timer = setTimeout(open, pause * (0.5 + Math.random()));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }

  function hurry() {
    if (document.visibilityState === 'hidden') return;
    if (socket) return ping(socket);
    pause = FIRST_PAUSE;
    open();
  }

  window.addEventListener('online', hurry);
  document.addEventListener('visibilitychange', hurry);
  open();
  return { stop() { stopped = true; clearTimeout(timer); if (socket) socket.close(); } };
}
