// Ends as they come in, gathered for a moment: an event says which side ended it, the handoff itself says who and how.

import { call } from './api.js';
import { endNote } from './names.js';
import { t } from './words.js';

const SOON = 120; // milliseconds
const SINGLY = 8; // handoffs looked up; of more at once it is enough to know which side
const NOTED = 3; // notes at once; more are one note

// onTold(handoffs, notices)
export function createEnds(onTold) {
  let gathered = [];

  // `isWhole`: as it was read after its end. `isSeen`: a row goes for it.
  function add(handoff, isWhole, isSeen) {
    if (!gathered.length) setTimeout(tell, SOON);
    gathered.push({ handoff, isWhole, isSeen });
  }

  async function tell() {
    const batch = gathered;
    gathered = [];
    const isFew = batch.filter((each) => !each.isWhole).length <= SINGLY;
    const read = await Promise.all(batch.map(({ handoff, isWhole }) => (isWhole || !isFew ? handoff : inFull(handoff))));
    const seen = read.filter((_, index) => batch[index].isSeen);
    onTold(read, seen.length > NOTED ? [t('console.ended.many', { n: seen.length })] : seen.map(endNote));
  }

  return { add };
}

async function inFull(handoff) {
  try {
    return await call('GET', `/handoffs/${handoff.id}`);
  } catch {
    return handoff; // the note says less
  }
}
