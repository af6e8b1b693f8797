// The page's two wires to the sandbox: a WebSocket that pushes snapshots, and POST actions.

const BASE = '/sandbox';
const LONGEST_PAUSE = 10000;

export async function post(path, body) {
  const reply = await fetch(`${BASE}/api/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return reply.json();
}

export function subscribe(onState, onLink) {
  let pause = 500;

  function open() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}${BASE}/ws`);
    socket.addEventListener('open', () => { pause = 500; onLink(true); });
    socket.addEventListener('message', (event) => {
      const frame = JSON.parse(event.data);
      if (frame.type === 'state') onState(frame);
    });
    socket.addEventListener('close', () => {
      onLink(false);
      setTimeout(open, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
  }

  open();
}
