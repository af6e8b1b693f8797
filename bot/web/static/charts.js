// Who ended the sessions, who served them, and how many a day: drawn by Chart.js, which comes when it is wanted. Where
// it does not come, the numbers stand alone.

import { h, setText } from './dom.js';
import { plain } from './names.js';
import { count, language, t } from './words.js';

const LIBRARY = '/assets/chart.umd.min.js';
const WHO = ['USER', 'AGENT', 'SYSTEM'];
const MOST = 8; // servicers
const LONGEST = 14; // characters of a name
const [ROW, DIGIT] = [26, 8]; // pixels
const QUICK = 350; // milliseconds

const dark = matchMedia('(prefers-color-scheme: dark)');
const calm = matchMedia('(prefers-reduced-motion: reduce)');

let library = null;

function load() {
  if (!library) {
    library = new Promise((resolve, reject) => {
      const script = h('script', { src: LIBRARY, on: { load: () => resolve(window.Chart), error: reject } });
      document.head.append(script);
    });
    library.catch(() => { library = null; }); // the next draw may have more luck
  }
  return library;
}


export function createCharts() {
  const ended = createChart('ended', endedConfig);
  const servicers = createChart('servicers', servicersConfig);
  const days = createChart('days', daysConfig);
  const all = [ended, servicers, days];
  const empty = h('p', { class: 'numbers-empty', data: { testid: 'numbers-empty' }, hidden: true });
  const node = h('div', { class: 'charts', data: { testid: 'charts' } }, empty, ...all.map((each) => each.node));
  let stats = null;

  function draw(newer) {
    stats = newer;
    empty.hidden = !stats || stats.handled > 0;
    setText(empty, empty.hidden ? '' : t(`console.numbers.empty.${stats.period}`));
    const drawings = stats && stats.handled ? drawingsOf(stats) : {};
    for (const each of all) each.tell(drawings[each.name]);
    if (stats && stats.handled) load().then(paint, (error) => console.warn(error));
  }

  function paint(Chart) {
    for (const each of all) each.paint(Chart);
  }

  dark.addEventListener('change', () => draw(stats));
  return { node, draw };
}

// -- what is to be drawn: labels and values, and the rows of which the words of a drawing are made

function drawingsOf(stats) {
  return { ended: endedOf(stats), servicers: servicersOf(stats), ...(stats.days.length && { days: daysOf(stats) }) };
}

function endedOf({ endedBy, handled }) {
  const rows = WHO.map((who) => [t(`console.numbers.by.${who}`), endedBy[who]]);
  return { title: t('console.numbers.chart.ended'), rows, legend: rows.map(([, value]) => `${count(value)} · ${Math.round((value / handled) * 100)}%`) };
}

function servicersOf({ servicers }) {
  const team = servicers.filter((each) => each.handled);
  const title = t(team.length > MOST ? 'console.numbers.chart.most' : 'console.numbers.chart.servicers', { n: MOST, all: team.length });
  return { title, rows: team.slice(0, MOST).map(({ userId, handled }) => [plain(userId), handled]) };
}

function daysOf({ days }) {
  const rows = days.map(({ date, handled }) => [weekday(date), handled]);
  rows[rows.length - 1][0] = [t('console.numbers.today'), ''];
  return { title: t('console.numbers.chart.days'), rows };
}

// As two lines. A date has no zone: it is the bot's day, wherever the reader is.
function weekday(date) {
  const day = new Date(`${date}T00:00:00Z`);
  const name = new Intl.DateTimeFormat(language() === 'zh' ? 'zh-CN' : 'en', { weekday: 'short', timeZone: 'UTC' }).format(day);
  return [name, `${day.getUTCMonth() + 1}/${day.getUTCDate()}`];
}

// -- one drawing with its words

function createChart(name, config) {
  const caption = h('figcaption');
  const canvas = h('canvas', { role: 'img', data: { testid: `chart-${name}` } });
  const frame = h('div', { class: 'canvas' }, canvas);
  const legend = h('ul', { class: 'legend' });
  const node = h('figure', { data: { chart: name }, hidden: true }, caption, h('div', { class: 'drawing' }, frame, legend));
  let drawing = null;
  let chart = null;

  function tell(newer) {
    drawing = newer && newer.rows.length ? newer : null;
    if (!drawing) node.hidden = true;
    if (!drawing) return;
    setText(caption, drawing.title);
    const numbers = drawing.rows.map(([label, value]) => `${[label].flat().join(' ').trim()} ${count(value)}`).join(t('console.numbers.and'));
    canvas.setAttribute('aria-label', t('console.numbers.said', { title: drawing.title, numbers }));
    legend.replaceChildren(...(drawing.legend ?? []).map((text, index) => h(
      'li', { data: { who: WHO[index] } }, h('i', { 'aria-hidden': 'true' }), h('span', {}, drawing.rows[index][0]), h('b', {}, text),
    )));
  }

  function paint(Chart) {
    if (!drawing) return;
    node.hidden = false;
    if (name === 'servicers') frame.style.height = `${drawing.rows.length * ROW + 20}px`;
    const { data, options, type, plugins } = config(drawing, colours(node));
    if (chart) {
      Object.assign(chart, { data, options });
      chart.update();
    } else {
      chart = new Chart(canvas, { type, data, options, plugins });
    }
  }

  return { name, node, tell, paint };
}

function colours(node) {
  const style = getComputedStyle(node);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    who: WHO.map((who) => of(`--by-${who.toLowerCase()}`)), bar: of('--bar'), text: of('--text'), soft: of('--soft'), surface: of('--surface'),
    font: { family: style.fontFamily, size: 12 },
  };
}

const options = (more) => ({
  responsive: true,
  maintainAspectRatio: false,
  animation: calm.matches ? false : { duration: QUICK },
  ...more,
  plugins: { legend: { display: false }, ...more.plugins },
});

function endedConfig({ rows }, { who, surface, font }) {
  const borderWidth = rows.filter(([, value]) => value).length > 1 ? 2 : 0;
  return {
    type: 'doughnut',
    data: {
      labels: rows.map(([label]) => label),
      datasets: [{ data: rows.map(([, value]) => value), backgroundColor: who, borderColor: surface, borderWidth, hoverOffset: 3 }],
    },
    options: options({ cutout: '58%', layout: { padding: 3 }, plugins: { tooltip: { titleFont: font, bodyFont: font } } }),
    plugins: [],
  };
}

function bars(rows, { bar, soft, text, font }, more) {
  const axis = { grid: { display: false }, border: { display: false }, ticks: { color: soft, font, autoSkip: false, maxRotation: 0 } };
  return {
    type: 'bar',
    data: { labels: rows.map(([label]) => label), datasets: [{ data: rows.map(([, value]) => value), backgroundColor: bar, borderRadius: 4, maxBarThickness: 30 }] },
    options: options({ ...more(axis), plugins: { tooltip: { enabled: false }, values: { colour: text, font } } }),
    plugins: [VALUES],
  };
}

function servicersConfig({ rows }, colour) {
  const right = 10 + DIGIT * Math.max(...rows.map(([, value]) => count(value).length));
  return bars(rows.map(([label, value]) => [short(label), value]), colour, (axis) => ({
    indexAxis: 'y', layout: { padding: { right } }, scales: { x: { display: false, beginAtZero: true }, y: axis },
  }));
}

function daysConfig({ rows }, colour) {
  return bars(rows, colour, (axis) => ({
    layout: { padding: { top: 18 } }, scales: { x: axis, y: { display: false, beginAtZero: true } },
  }));
}

const short = (name) => ([...name].length > LONGEST ? `${[...name].slice(0, LONGEST - 1).join('')}…` : name);

// Each bar's number at its end.
const VALUES = {
  id: 'values',
  afterDatasetsDraw(chart, _, { colour, font }) {
    const isLying = chart.options.indexAxis === 'y';
    const { ctx } = chart;
    ctx.save();
    Object.assign(ctx, { fillStyle: colour, font: `600 ${font.size}px ${font.family}`, textAlign: isLying ? 'left' : 'center', textBaseline: isLying ? 'middle' : 'bottom' });
    chart.getDatasetMeta(0).data.forEach((bar, index) => {
      const value = chart.data.datasets[0].data[index];
      if (value) ctx.fillText(count(value), bar.x + (isLying ? 6 : 0), bar.y - (isLying ? 0 : 4));
    });
    ctx.restore();
  },
};
