// Left pane: the customer's phone.

import { $, avatar, composer, disclosure, fillSelect, h, setText } from './dom.js';
import { messageList } from './list.js';
import { chatMessage } from './chat.js';
import { accountOf, nameOf, sessionOf } from './people.js';
import { language, t } from './words.js';

export function customerPane(ctx) {
  const pane = $('#pane-customer');
  const input = $('#customer-input');
  const form = $('#new-customer-form');
  const view = { kf: null, customer: null, own: false };

  const target = () => ({ open_kfid: view.kf, external_userid: view.customer });

  function say(text, menuId) {
    list.follow();
    return ctx.act('customer/message', { ...target(), text, ...(menuId && { menu_id: menuId }) });
  }

  const list = messageList($('.log', pane), $('.jump', pane), (message, { time }) => {
    const state = ctx.state();
    const mine = message.from === 'customer';
    const account = accountOf(state, view.kf)?.name ?? '';
    return chatMessage(message, {
      testid: 'customer-message', time, mine,
      name: mine ? '' : message.from === 'servicer' ? nameOf(state, message.by) : account,
      avatar: mine ? avatar(view.customer, nameOf(state, view.customer)) : message.from === 'servicer' ? avatar(message.by, nameOf(state, message.by)) : avatar('', '', 'kf'),
      choose: (item) => say(item.content, item.id),
    });
  });

  async function enter() {
    ctx.refresh();
    await ctx.act('customer/enter', target());
  }

  $('#customer-account').addEventListener('change', (event) => { view.own = true; view.kf = event.target.value; enter(); });
  $('#customer-picker').addEventListener('change', (event) => { view.own = true; view.customer = event.target.value; enter(); });

  const close = disclosure($('#new-customer'), form, () => {
    const used = new Set(ctx.state().customers.map((one) => one.nickname));
    $('#new-customer-name').value = t('nicknames').split(',').find((name) => !used.has(name)) ?? '';
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const nickname = $('#new-customer-name').value.trim();
    const reply = nickname && await ctx.act('customer/new', { nickname });
    if (!reply) return;
    close();
    view.own = true;
    view.customer = reply.external_userid;
    await enter();
    input.focus();
  });

  const box = composer(input, $('#customer-send'), (text) => say(text));
  for (const chip of pane.querySelectorAll('.chip[data-say]')) chip.addEventListener('click', () => say(chip.dataset.say));
  $('#chip-greeting').addEventListener('click', () => say(t('greeting')));

  // The guide starts with a customer whom nobody serves yet.
  function newcomer(state) {
    const free = (one) => (sessionOf(state, view.kf, one.external_userid)?.service_state ?? 4) === 4;
    return (state.customers.find(free) ?? state.customers[0])?.external_userid ?? null;
  }

  // A script shows its customer, unless the reader has picked one.
  function follow({ script }) {
    if (!script) view.own = false;
    else if (!view.own && script.external_userid) [view.kf, view.customer] = [script.open_kfid, script.external_userid];
  }

  function update(state) {
    follow(state);
    if (!accountOf(state, view.kf)) view.kf = state.accounts[0]?.open_kfid ?? null;
    // A customer just created may be chosen before the snapshot that names it has arrived.
    if (!view.customer) view.customer = newcomer(state);
    fillSelect($('#customer-account'), state.accounts.map((one) => [one.open_kfid, one.name]), view.kf);
    fillSelect($('#customer-picker'), state.customers.map((one) => [one.external_userid, one.nickname]), view.customer);
    $('.playing .avatar', pane).replaceWith(avatar(view.customer, nameOf(state, view.customer)));
    const session = sessionOf(state, view.kf, view.customer);
    input.placeholder = t(session?.service_state === 4 && session.messages.length ? 'customerEndedPlaceholder' : 'customerPlaceholder');
    input.disabled = !view.kf || !view.customer;
    box.refresh();
    list.show(`${view.kf}/${view.customer}/${language()}`, session?.messages ?? [], ctx.now(), 'emptyCustomer');
  }

  return {
    update,
    unread: (state) => (sessionOf(state, view.kf, view.customer)?.messages ?? []).filter((one) => one.from !== 'customer').length,
    greet: () => setText(input, input.value || t('greeting')),
  };
}
