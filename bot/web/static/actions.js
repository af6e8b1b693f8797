// What an agent does to a handoff: a question first, then the call, then its truth as a note.

import { ApiError, call } from './api.js';
import { toTheMinute } from './clocks.js';
import { $, answered, h } from './dom.js';
import { isOpen } from './handoffs.js';
import { nameOf, plain } from './names.js';
import { t } from './words.js';

const LONGEST_REASON = 200;
const USUAL = Number(document.body.dataset.snooze); // minutes, as the card does it
const PAUSES = [...new Set([10, 30, 60, 240, USUAL])].sort((a, b) => a - b);

// ask: a form in a dialog; the answer is its fields, or null.
async function ask(key, handoff, fields, confirm, prepare = () => {}) {
  const values = { name: nameOf(handoff), account: plain(handoff.accountName), who: plain(handoff.agentId) || t('console.nobody') };
  const go = h('button', { class: `button ${confirm}`, value: 'yes', data: { testid: 'confirm' } }, t(`console.confirm.${key}`));
  const no = h('button', { type: 'button', class: 'button', data: { testid: 'cancel' } }, t('page.cancel'));
  const form = h(
    'form', { method: 'dialog' },
    h('h2', { id: 'question' }, t(`console.ask.${key}`, values)), h('p', { id: 'question-about' }, t('console.about', values)),
    ...fields, h('div', { class: 'dialog-buttons' }, no, go),
  );
  const dialog = h('dialog', { 'aria-labelledby': 'question', 'aria-describedby': 'question-about', data: { testid: 'question', about: handoff.id } }, form);
  no.addEventListener('click', () => dialog.close(''));
  document.body.append(dialog);
  prepare(dialog, go);
  const answer = await answered(dialog);
  dialog.remove();
  return answer === 'yes' ? Object.fromEntries(new FormData(form)) : null;
}

const field = (key, control) => h('label', { class: 'field' }, h('span', {}, t(key)), control);

function askEnd(handoff) {
  const reason = h('input', {
    name: 'reason', maxlength: LONGEST_REASON, autocomplete: 'off', autofocus: true, data: { testid: 'reason' },
  });
  return ask('end', handoff, [field('console.end.reason', reason)], 'button-danger');
}

function askSnooze(handoff) {
  const choices = PAUSES.map((minutes) => h(
    'label', { class: 'choice' },
    h('input', { type: 'radio', name: 'minutes', value: minutes, checked: minutes === USUAL, autofocus: minutes === USUAL, data: { testid: `snooze-${minutes}` } }),
    t(minutes % 60 ? 'console.minutes' : 'console.hours', { n: minutes % 60 ? minutes : minutes / 60 }),
  ));
  const group = h('fieldset', { class: 'choices' }, h('legend', { class: 'sr' }, t('console.snooze.how')), ...choices);
  return ask('snooze', handoff, [group], 'button-main');
}

function askTransfer(handoff) {
  const select = h('select', { name: 'servicer', autofocus: true, disabled: true, data: { testid: 'servicer' } }, h('option', { value: '' }, t('console.loading')));
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  return ask('transfer', handoff, [field('console.transfer.to', select), problem], 'button-main', (dialog, go) => {
    go.disabled = true;
    offer(handoff, select).then((offered) => {
      go.disabled = !offered;
      problem.hidden = offered;
      if (!offered) problem.textContent = t('console.transfer.nobody');
      else select.focus();
    }, (error) => {
      problem.hidden = false;
      problem.textContent = saidOf(error);
    });
  });
}

// Whether there is anybody to choose.
async function offer(handoff, select) {
  const servicers = await call('GET', `/agent/servicers?kf=${encodeURIComponent(handoff.openKfid)}`);
  const options = servicers.map((each) => servicerOption(each, handoff));
  select.replaceChildren(...options.sort((a, b) => a.disabled - b.disabled));
  select.disabled = false;
  select.value = options.find((option) => !option.disabled)?.value ?? '';
  return Boolean(select.value);
}

function servicerOption({ userId, receiving, suspended, load }, handoff) {
  const isTheirs = userId === handoff.agentId;
  const state = isTheirs ? 'theirs' : suspended || receiving === false ? 'away' : receiving ? 'here' : 'unknown';
  const text = t(`console.load.${state}`, { who: plain(userId), load });
  return h('option', { value: userId, disabled: isTheirs || state === 'away' }, text);
}

// Foreign words come from the bot as it tells them; where nobody answers there are only ours.
export const saidOf = (error) => (error instanceof ApiError ? error.message : t('console.network'));

// isOver(id): it has ended, as far as we know. onBusy(id); onEnded(handoff); onChanged(handoff); onGone(id): it is not
// open any more, or not there; onRefused(): we are not in any more.
export function createActions({ isOver, notes, onBusy, onEnded, onChanged, onSnoozed, onGone, onRefused }) {
  const busy = new Set();

  const acts = {
    end: [askEnd, async (handoff, { reason }) => {
      onEnded(await call('POST', '/agent/handoff/complete', { handoffRequestId: handoff.id, reason: reason.trim() }));
    }],
    snooze: [askSnooze, async (handoff, { minutes }) => {
      const seconds = Number(minutes) * 60;
      const { snoozedUntil } = await call('POST', '/agent/handoff/snooze', { handoffRequestId: handoff.id, seconds });
      onSnoozed(handoff.id, snoozedUntil);
      notes.say(t('console.done.snooze', { name: nameOf(handoff), when: toTheMinute(snoozedUntil) }));
    }],
    transfer: [askTransfer, async (handoff, { servicer }) => {
      onChanged(await call('POST', '/agent/handoff/transfer', { handoffRequestId: handoff.id, servicer }));
      notes.say(t('console.done.transfer', { name: nameOf(handoff), who: plain(servicer) }));
    }],
  };

  async function act(name, handoff) {
    if (!handoff || !isOpen(handoff) || busy.has(handoff.id) || $('dialog[open]')) return;
    const [question, run] = acts[name];
    const answer = await question(handoff);
    if (!answer || isOver(handoff.id)) return;
    setBusy(handoff.id, true);
    try {
      await run(handoff, answer);
    } catch (error) {
      failed(name, handoff, error);
    }
    setBusy(handoff.id, false);
  }

  function setBusy(id, is) {
    if (is) busy.add(id);
    else busy.delete(id);
    onBusy(id);
  }

  function failed(name, handoff, error) {
    if (error.status === 401) return onRefused();
    notes.fail(t(`console.failed.${name}`, { name: nameOf(handoff), why: saidOf(error) }));
    if (error.status === 404 || error.status === 409) onGone(handoff.id);
  }

  return {
    act,
    isBusy: (id) => busy.has(id),
    // It has ended: there is nothing left to ask.
    drop(id) {
      const dialog = $(`dialog[data-about="${id}"]`);
      if (dialog) dialog.close('');
    },
  };
}
