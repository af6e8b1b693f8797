// What stands beside the table: the last ends, and today's numbers with the export, which come after the first rows.

import { $ } from './dom.js';

const wide = matchMedia('(min-width: 1200px)');
const others = [];

function fold() {
  for (const each of document.querySelectorAll('.fold')) {
    each.open = wide.matches;
    $('summary', each).tabIndex = wide.matches ? -1 : 0; // there is room: nothing to fold
  }
}

// The table stands without them, should one not load.
async function attempt(mount) {
  try {
    others.push(await mount());
  } catch (error) {
    console.warn(error);
  }
}

export function addOthers(accounts) {
  const button = $('#export');
  attempt(async () => {
    const { mountNumbers, relabel } = await import('./numbers.js');
    const numbers = mountNumbers($('#numbers'));
    return { relabel, refresh: () => numbers.refresh() };
  });
  attempt(async () => {
    const { mountExport, relabel } = await import('./export.js');
    button.disabled = false;
    mountExport(button, accounts);
    return { relabel, refresh() {} };
  });
}

export const relabelOthers = () => { for (const each of others) each.relabel(); };

export const refreshNumbers = () => { for (const each of others) each.refresh(); };

wide.addEventListener('change', fold);
fold();
