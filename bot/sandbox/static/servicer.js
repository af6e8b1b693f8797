// Right pane: the WeCom client of a member who serves customers.

import { $, avatar, composer, disclosure, fillSelect, h } from './dom.js';
import { messageList } from './list.js';
import { chatMessage } from './chat.js';
import { accountOf, allServicers, keyOf, lastAt, nameOf } from './people.js';
import { age, language, t } from './words.js';

const HUMAN = 3;
const ENDED = 4;

function preview(session) {
  const last = session.messages.at(-1);
  return last?.text || last?.menu?.head || '';
}

function waits(session) {
  const spoken = session.messages.filter((one) => one.from !== 'system').at(-1);
  return [2, HUMAN].includes(session.service_state) && spoken?.from === 'customer';
}

export function servicerPane(ctx) {
  const pane = $('#pane-servicer');
  const rows = $('#sessions');
  const input = $('#servicer-input');
  const view = { me: null, key: null, kf: null, drawn: '', typeNext: false, chosen: false, own: false };

  function mySessions() {
    const state = ctx.state();
    const serves = (kf) => accountOf(state, kf)?.servicers.some((one) => one.userid === view.me);
    const order = (one) => (one.service_state === ENDED ? 0 : 1e12) + lastAt(one);
    const begun = (one) => one.messages.length > 0 || one.service_state !== ENDED;
    return state.sessions.filter((one) => serves(one.open_kfid) && begun(one)).sort((a, b) => order(b) - order(a));
  }

  const selected = () => ctx.state().sessions.find((one) => keyOf(one) === view.key);
  const name = (id) => nameOf(ctx.state(), id);

  function act(verb, more = {}) {
    const { open_kfid, external_userid } = selected();
    view.chosen = true;
    return ctx.act(`servicer/${verb}`, { open_kfid, external_userid, servicer_userid: view.me, ...more });
  }

  function select(key) {
    view.chosen = view.own = true;
    view.key = key;
    view.kf = selected()?.open_kfid ?? view.kf;
    ctx.refresh();
  }

  function served(session) {
    if (session.service_state !== HUMAN) return '';
    if (session.servicer_userid === view.me) return t('servedByMe');
    return session.servicer_userid ? t('servedBy', { who: name(session.servicer_userid) }) : t('unserved');
  }

  function stateBadge(session) {
    return h('span', { class: `state state-${session.service_state}` }, t(`state${session.service_state}`));
  }

  function row(session) {
    const key = keyOf(session);
    const state = ctx.state();
    const who = name(session.external_userid);
    const account = state.accounts.length > 1 ? accountOf(state, session.open_kfid)?.name : '';
    return h('li', {}, h('button', {
      type: 'button', class: 'session', 'aria-current': key === view.key ? 'true' : null,
      data: { testid: 'session-row', externalUserid: session.external_userid, openKfid: session.open_kfid, state: session.service_state },
      on: { click: () => select(key) },
    },
    avatar(session.external_userid, who),
    h('span', { class: 'session-main' },
      h('span', { class: 'session-top' }, h('strong', {}, who), stateBadge(session), h('span', { class: 'session-served' }, served(session)),
        h('time', {}, lastAt(session) ? age(lastAt(session), ctx.now()) : '')),
      h('span', { class: 'session-last' },
        waits(session) && h('span', { class: 'waiting' }, t('waiting')),
        h('span', { class: 'session-text' }, preview(session)),
        account && h('span', { class: 'session-account' }, account)))));
  }

  function drawRows(sessions) {
    const shown = (one) => [keyOf(one), one.service_state, served(one), preview(one), waits(one), age(lastAt(one), ctx.now()), name(one.external_userid)];
    const drawn = JSON.stringify([language(), view.key, view.me, sessions.map(shown)]);
    if (drawn === view.drawn) return;
    view.drawn = drawn;
    rows.hidden = !sessions.length;
    const focused = rows.contains(document.activeElement);
    rows.replaceChildren(...sessions.map(row));
    if (focused) $('[aria-current]', rows)?.focus({ preventScroll: true });
  }

  const list = messageList($('.log', pane), $('.jump', pane), (message, { time }) => {
    const mine = message.from !== 'customer';
    const customer = selected().external_userid;
    const speaker = message.from === 'servicer' ? name(message.by) : t('viaApi');
    return chatMessage(message, {
      testid: 'servicer-message', time, mine,
      name: mine && message.by !== view.me ? speaker : '',
      avatar: !mine ? avatar(customer, name(customer)) : message.from === 'servicer' ? avatar(message.by, name(message.by)) : avatar('', '', 'bot'),
    });
  });

  function drawChat(session) {
    const open = session && session.service_state !== ENDED;
    const mine = open && session.service_state === HUMAN && session.servicer_userid === view.me;
    const other = open && session.service_state === HUMAN && session.servicer_userid && !mine ? session.servicer_userid : null;
    $('#chat-head').hidden = !session;
    if (session) {
      $('#chat-who').replaceChildren(h('strong', {}, name(session.external_userid)), stateBadge(session), h('span', { class: 'chat-id' }, session.external_userid));
    }
    const switcher = $('#act-as');
    switcher.hidden = !other;
    switcher.textContent = other ? t('actAs', { who: name(other) }) : '';
    switcher.onclick = () => { view.me = other; ctx.refresh(); };
    $('#servicer-take').disabled = !open || session.service_state === HUMAN;
    $('#servicer-transfer').disabled = !mine;
    $('#servicer-end').disabled = !mine;
    // Writing into an ended session reopens it, as in the WeCom client.
    input.disabled = !mine && session?.service_state !== ENDED;
    input.placeholder = t(input.disabled && session ? 'servicerLockedPlaceholder' : !open && session ? 'servicerReopenPlaceholder' : 'servicerPlaceholder');
    box.refresh();
    // After a take the reply box opens only with the next snapshot.
    if (view.typeNext && mine) {
      view.typeNext = false;
      input.focus();
    }
    list.show(`${view.key}/${view.me}/${language()}`, session?.messages ?? [], ctx.now(), session ? 'emptySessionChat' : 'emptySessions');
  }

  function drawAccount(state) {
    const account = accountOf(state, view.kf);
    const me = account?.servicers.find((one) => one.userid === view.me);
    const accounts = state.accounts.filter((one) => one.servicers.some((servicer) => servicer.userid === view.me));
    fillSelect($('#servicer-account'), accounts.map((one) => [one.open_kfid, one.name]), view.kf);
    fillSelect($('#routing'), [['assistant', t('routeAssistant')], ['human', t('routeHuman')], ['queue', t('routeQueue')]], account?.routing);
    const toggle = $('#receiving');
    toggle.setAttribute('aria-checked', String(me?.status === 0));
    $('#receiving-text').textContent = t(me?.status === 0 ? 'receiving' : 'stopped');
  }

  const box = composer(input, $('#servicer-send'), (text) => {
    list.follow();
    return act('message', { text });
  });
  const closeTransfer = disclosure($('#servicer-transfer'), $('#transfer-menu'), () => {
    const others = accountOf(ctx.state(), selected().open_kfid).servicers.filter((one) => one.userid !== view.me);
    $('#transfer-options').replaceChildren(...others.map((one) => h('li', {}, h('button', {
      type: 'button', data: { testid: 'transfer-option', userid: one.userid },
      on: { click: async () => { closeTransfer(); await act('transfer', { to: one.userid }); } },
    }, avatar(one.userid, one.name), h('span', {}, one.name), one.status === 1 && h('small', {}, t('busy'))))));
    if (!others.length) $('#transfer-options').append(h('li', { class: 'nothing' }, t('noOne')));
  });
  $('#servicer-take').addEventListener('click', async () => { view.typeNext = Boolean(await act('take')); ctx.refresh(); });
  $('#servicer-end').addEventListener('click', () => act('end'));
  $('#servicer-picker').addEventListener('change', (event) => { view.own = true; view.me = event.target.value; ctx.refresh(); });
  $('#servicer-account').addEventListener('change', (event) => { view.kf = event.target.value; ctx.refresh(); });
  $('#routing').addEventListener('change', (event) => ctx.act('account/routing', { open_kfid: view.kf, routing: event.target.value }));
  $('#receiving').addEventListener('click', (event) => {
    const status = event.currentTarget.getAttribute('aria-checked') === 'true' ? 1 : 0;
    ctx.act('servicer/status', { open_kfid: view.kf, servicer_userid: view.me, status });
  });

  // A script shows its servicer with the newest session, unless the reader has picked one.
  function follow({ script }) {
    if (!script) view.own = false;
    else if (!view.own && script.servicer_userid) [view.me, view.chosen] = [script.servicer_userid, false];
  }

  function update(state) {
    follow(state);
    const servicers = allServicers(state);
    if (!servicers.some((one) => one.userid === view.me)) view.me = servicers[0]?.userid ?? null;
    const sessions = mySessions();
    // Until the reader picks a session, the newest one is shown.
    if (!view.chosen || !sessions.some((one) => keyOf(one) === view.key)) view.key = sessions.length ? keyOf(sessions[0]) : null;
    const serves = accountOf(state, view.kf)?.servicers.some((one) => one.userid === view.me);
    if (!serves) view.kf = state.accounts.find((one) => one.servicers.some((servicer) => servicer.userid === view.me))?.open_kfid ?? null;
    fillSelect($('#servicer-picker'), servicers.map((one) => [one.userid, one.name]), view.me);
    $('.playing .avatar', pane).replaceWith(avatar(view.me, name(view.me)));
    drawAccount(state);
    drawRows(sessions);
    drawChat(selected());
  }

  function showNewest() {
    const next = mySessions().find((one) => one.service_state < HUMAN) ?? mySessions()[0];
    if (next) select(keyOf(next));
    $('#servicer-take').focus();
  }

  return { update, showNewest, unread: () => mySessions().flatMap((one) => one.messages).filter((one) => one.from === 'customer').length };
}
