// What is open, as far as this page knows. Answers overtake each other: each carries the number of the reading it
// belongs to, an older one changes nothing that a newer one has told, and what has ended does not come back.

const OPEN = new Set(['PENDING', 'ACCEPTED', 'IN_PROGRESS']);

export const isOpen = (handoff) => OPEN.has(handoff.status);

export function createHandoffs() {
  const known = new Map();
  const told = new Map(); // id → by which reading it was told last, and at (after how many had begun)
  const over = new Set();
  let readings = 0;

  return {
    get: (id) => known.get(id),
    all: () => known.values(),
    isOver: (id) => over.has(id),
    begin: () => ++readings,

    // False where it changes nothing.
    put(handoff, reading) {
      if (over.has(handoff.id) || !isOpen(handoff) || reading < (told.get(handoff.id)?.by ?? 0)) return false;
      known.set(handoff.id, handoff);
      told.set(handoff.id, { by: reading, at: readings });
      return true;
    },

    // What changed without a reading: by our own doing.
    change(id, values) {
      if (known.has(id)) known.set(id, { ...known.get(id), ...values });
    },

    // Whether that is news.
    end(id) {
      if (over.has(id)) return false;
      over.add(id);
      known.delete(id);
      told.delete(id);
      return true;
    },

    // A reading of all from the id `floor` on is complete: what was known before and not found is not there any more.
    sweep(reading, floor) {
      const gone = [...told].filter(([id, { at }]) => at < reading && id >= floor).map(([id]) => id);
      for (const id of gone) {
        known.delete(id);
        told.delete(id);
      }
      return gone;
    },
  };
}
