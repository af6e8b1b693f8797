// Before the console: who are you? By WeCom's login, or with a token that somebody at the machine has made.

import { ApiError, call } from './api.js';
import { $ } from './dom.js';
import { t } from './words.js';

const WITH_WECOM = document.body.dataset.login === 'wecom';

// `why`: a key of the wording, where the reader was in before.
export function showEntry(why = '') {
  document.body.dataset.at = 'entry';
  $('#app').hidden = true;
  $('#entry').hidden = false;
  $('#entry-why').hidden = !why;
  $('#entry-why').dataset.t = why;
  $('#entry-why').textContent = why && t(why);
  const wecom = $('#entry-wecom');
  wecom.hidden = !WITH_WECOM;
  if (location.search) wecom.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  if (!WITH_WECOM) $('#entry-token').focus();
}

function tell(text) {
  $('#entry-error').hidden = !text;
  $('#entry-error').textContent = text;
}

async function send(event) {
  event.preventDefault();
  const field = $('#entry-token');
  const button = $('#entry-form button');
  tell('');
  button.disabled = true;
  try {
    await call('POST', '/agent/session', { token: field.value.trim() });
    location.reload();
  } catch (error) {
    button.disabled = false;
    tell(said(error));
    field.select();
  }
}

const said = (error) => {
  if (!(error instanceof ApiError)) return t('console.network');
  return error.status === 401 ? t('console.entry.refused') : error.message;
};

$('#entry-form').addEventListener('submit', send);
