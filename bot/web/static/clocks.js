// How long and when, in the bot's time, and the one timer by which everything that runs moves on.

import { now } from './api.js';
import { t } from './words.js';

const AMBER = 2 * 60000;
const RED = 5 * 60000;
const DAY = 86400000;

export const two = (number) => String(number).padStart(2, '0');

export const since = (iso) => Math.max(0, now() - Date.parse(iso));

export const level = (milliseconds) => (milliseconds >= RED ? 'red' : milliseconds >= AMBER ? 'amber' : 'calm');

export function lasted(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const d = Math.floor(milliseconds / DAY);
  const rest = d || h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  return d ? t('console.days', { d, rest }) : rest;
}

// Local time; the date only where it is not today's.
export function when(iso) {
  const [at, today] = [new Date(iso), new Date(now())];
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return at.toDateString() === today.toDateString() ? time : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

export const toTheMinute = (iso) => when(iso).slice(0, -3);

export function everySecond(tick) {
  const seen = () => { if (document.visibilityState !== 'hidden') tick(); };
  document.addEventListener('visibilitychange', seen);
  const timer = setInterval(seen, 1000);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}
