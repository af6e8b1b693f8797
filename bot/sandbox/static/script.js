// While a script plays: which scene, in words, in the place of the guide; and a button that stops it.

import { $ } from './dom.js';
import { language, t } from './words.js';

export function createScript(ctx) {
  const bar = $('#script');
  $('#script-stop').addEventListener('click', () => ctx.act('script', { action: 'stop' }));

  return {
    draw() {
      const script = ctx.state()?.script;
      bar.hidden = !script;
      $('#coach').hidden = Boolean(script);
      if (!script) return;
      $('#script-scene').textContent = t('scene', { n: script.scene, of: script.scenes });
      $('#script-title').textContent = script.title[language()];
      $('#script-caption').textContent = script.caption[language()];
    },
  };
}
