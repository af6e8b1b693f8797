// Middle pane: the internal group where staff and the bot talk.

import { $, avatar, composer, fillSelect, h, icon, setText } from './dom.js';
import { card } from './card.js';
import { linked } from './chat.js';
import { messageList } from './list.js';
import { markdown } from './markdown.js';
import { nameOf } from './people.js';
import { openPicture } from './picture.js';
import { language, t } from './words.js';

const CUSTOMER = /^(wm[\w-]{2,})(?:(?:…|\.\.\.)([\w-]*))?$/;
const PLACEHOLDER = /[\[<\u3400-\u9fff]/;
const COMMAND = /^(?:[@＠]\S+\s+)?[/／]\S/;
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,/;

export function groupPane(ctx) {
  const pane = $('#pane-group');
  const input = $('#group-input');
  const view = { chatid: null, member: null, entering: null, quote: null, updated: new Set(), seen: new Map() };

  const group = () => ctx.state().groups.find((one) => one.chatid === view.chatid);
  const mention = () => `@${ctx.state().bot.name}`;
  const mentions = (text) => text.replaceAll('＠', '@').includes(mention());
  const needsMention = () => group()?.kind === 'group';

  function fill(command) {
    const text = command.trim();
    setText(input, needsMention() && !/^[@＠]/.test(text) ? `${mention()} ${text}` : text);
  }

  // A usage line such as "/end customer [reason]": without its optional parts, the rest marked to be typed over.
  function fillUsage(text) {
    fill(text.replace(/\s*\[[^\]]*\]/g, ''));
    const start = input.value.search(/[/／]\S+\s+\S/);
    if (start >= 0) input.setSelectionRange(input.value.indexOf(' ', start) + 1, input.value.length);
  }

  // A shortened id (wm7lKA…OUPw) stands for the one customer it fits, else for its first part.
  function fullId([, head, tail]) {
    const fits = ctx.state().customers.map((one) => one.external_userid).filter((id) => id.startsWith(head) && id.endsWith(tail ?? ''));
    return tail !== undefined && fits.length === 1 ? fits[0] : head;
  }

  function insertId(id) {
    if (!input.value.trim() || input.value.trim() === mention()) return fill(`/end ${id}`);
    setText(input, `${input.value.trimEnd()} ${id}`);
  }

  // What a click on inline code does: a command goes into the input, a customer id is added to it.
  function code(text) {
    if (COMMAND.test(text) && !text.includes('\n')) return () => (PLACEHOLDER.test(text) ? fillUsage(text) : fill(text));
    const id = text.match(CUSTOMER);
    return id && (() => insertId(fullId(id)));
  }

  const hooks = { code, name: (id) => nameOf(ctx.state(), id), get codeHint() { return t('insert'); } };

  function speaker(message) {
    if (message.from === 'bot') return { name: ctx.state().bot.name, badge: t('bot'), face: avatar('', '', 'bot') };
    if (message.from === 'webhook') return { name: message.by || t('webhook'), badge: t('webhook'), face: avatar('', '', 'bot') };
    const name = nameOf(ctx.state(), message.by);
    return { name, badge: '', face: avatar(message.by, name) };
  }

  function summary(message) {
    return (message.card?.main_title?.title || message.text || t(message.image ? 'image' : 'card')).slice(0, 120);
  }

  function setQuote(quote) {
    view.quote = quote;
    $('#group-quote').hidden = !quote;
    $('#group-quote-text').textContent = quote ? t('quoteOf', { who: quote.who }) + quote.text : '';
    if (quote) {
      if (!input.value && needsMention()) input.value = `${mention()} `;
      setText(input, input.value);
    }
  }

  function spoken(text) {
    const name = mention();
    return linked(text).flatMap((part) => (typeof part !== 'string' ? [part] : part.split(name).flatMap((piece, index) => (
      index ? [h('span', { class: 'mention' }, name), piece] : [piece]))));
  }

  function content(message, flash) {
    if (message.card) {
      const tap = async (key) => {
        ctx.coach.acted();
        return ctx.act('group/tap', { chatid: view.chatid, userid: view.member, message_id: message.id, key });
      };
      return card(message.card, { tap, code, updated: view.updated.has(message.id), flash });
    }
    if (message.image && PICTURE.test(message.image)) {
      return h('button', { type: 'button', class: 'picture', title: t('zoom'), 'aria-label': t('image'), data: { testid: 'group-picture' }, on: { click: () => openPicture(message.image) } },
        h('img', { src: message.image, alt: message.text || t('image') }));
    }
    const rich = ['markdown', 'stream'].includes(message.msgtype);
    return h('div', { class: 'bubble' }, message.quote && h('blockquote', { class: 'said' }, message.quote.text),
      ...(rich ? [markdown(message.text ?? '', hooks)] : spoken(message.text)));
  }

  const list = messageList($('.log', pane), $('.jump', pane), (message, { previous, time }) => {
    const { name, badge, face } = speaker(message);
    const mine = message.from === 'member' && message.by === view.member;
    const changed = Boolean(previous?.card) && JSON.stringify(previous.card) !== JSON.stringify(message.card);
    if (changed) view.updated.add(message.id);
    const quote = h('button', { type: 'button', class: 'quote-button', title: t('quote'), 'aria-label': `${t('quote')} ${name}`, data: { testid: 'quote-button' },
      on: { click: () => setQuote({ id: message.id, who: name, text: summary(message) }) } }, icon('quote'));
    return h('div', { class: `msg ${mine ? 'msg-mine' : 'msg-theirs'} msg-${message.from}`, data: { testid: 'group-message', id: message.id, from: message.from, type: message.msgtype } },
      face,
      h('div', { class: 'msg-body' },
        !mine && h('span', { class: 'msg-name' }, name, badge && h('span', { class: 'badge' }, badge), h('time', {}, time)),
        h('div', { class: 'msg-row', title: mine ? time : null }, content(message, changed), quote)));
  });

  async function say(text) {
    ctx.coach.acted(text);
    list.follow();
    const sent = await ctx.act('group/message', { chatid: view.chatid, userid: view.member, text, ...(view.quote && { quote_id: view.quote.id }) });
    if (sent) setQuote(null);
    return sent;
  }

  const box = composer(input, $('#group-send'), say);
  input.addEventListener('input', () => { $('#group-hint').hidden = !needsMention() || !input.value.trim() || mentions(input.value); });
  $('#group-mention').addEventListener('click', () => setText(input, mentions(input.value) ? input.value : `${mention()} ${input.value}`));
  for (const chip of pane.querySelectorAll('.chip[data-command]')) chip.addEventListener('click', () => fill(chip.dataset.command));
  $('#group-quote-close').addEventListener('click', () => { setQuote(null); input.focus(); });
  $('#group-member').addEventListener('change', (event) => { view.member = event.target.value; ctx.refresh(); });
  $('#group-picker').addEventListener('change', async (event) => {
    const chatid = event.target.value;
    setQuote(null);
    if (ctx.state().groups.some((one) => one.chatid === chatid)) view.chatid = chatid;
    else {
      view.entering = chatid;
      input.disabled = true; // or what is said meanwhile would go to the chat before
      if (!(await ctx.act('group/enter', { userid: chatid }))) view.entering = null;
    }
    ctx.refresh();
  });

  const newest = (one) => one.messages.at(-1)?.id;

  // A dot before the chats in which the bot has spoken since they were last looked at.
  function label(one) {
    if (one.chatid === view.chatid || !view.seen.has(one.chatid)) view.seen.set(one.chatid, newest(one));
    const unseen = view.seen.get(one.chatid) !== newest(one) && one.messages.at(-1)?.from !== 'member';
    return `${unseen ? '● ' : ''}${one.kind === 'single' ? `${one.name} · ${t('singleChat')}` : one.name}`;
  }

  // Every chat there is, and the one of the played member with the bot, which begins when it is opened.
  function drawPicker(state) {
    const chats = state.groups.map((one) => [one.chatid, label(one)]);
    const begun = state.groups.some((one) => one.chatid === view.member);
    if (view.member && !begun) chats.push([view.member, t('directChat', { who: nameOf(state, view.member), bot: state.bot.name })]);
    fillSelect($('#group-picker'), chats, view.chatid);
  }

  function update(state) {
    if (state.groups.some((one) => one.chatid === view.entering)) [view.chatid, view.entering] = [view.entering, null];
    if (!group()) view.chatid = state.groups[0]?.chatid ?? null;
    const members = group()?.members ?? [];
    if (!members.some((one) => one.userid === view.member)) view.member = members[0]?.userid ?? null;
    drawPicker(state);
    fillSelect($('#group-member'), members.map((one) => [one.userid, one.name]), view.member);
    $('.playing .avatar', pane).replaceWith(avatar(view.member, nameOf(state, view.member)));
    $('#group-size').textContent = group()?.kind === 'group' ? t('members', { n: members.length + 1 }) : '';
    $('#group-mention').textContent = mention();
    $('#group-mention').hidden = !needsMention();
    $('#group-hint').textContent = t('noMention', { bot: state.bot.name });
    input.placeholder = t('groupPlaceholder', { bot: state.bot.name });
    input.disabled = !view.member || Boolean(view.entering);
    box.refresh();
    list.show(`${view.chatid}/${view.member}/${language()}`, group()?.messages ?? [], ctx.now(), 'emptyGroup');
  }

  return { update, fill, unread: () => (group()?.messages ?? []).filter((one) => one.from !== 'member').length };
}
