// Runs in the report's reader's browser: lays a chart that one can zoom over each static trace. Without it the page is complete.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2]];
  const duration = (us) =>
    us >= 999500 ? `${+(us / 1e6).toPrecision(3)} s` : us >= 999.5 ? `${+(us / 1e3).toPrecision(3)} ms` : `${+us.toPrecision(3)} µs`;

  /** A background that is a line of these dashes. */
  function dashed(colour, dashes) {
    let at = 0;
    const stops = (dashes.length === 0 ? [1] : dashes).map((length, i) => {
      const from = at;
      at += length;
      return `${i % 2 === 0 ? colour : 'transparent'} ${from}px ${at}px`;
    });
    return `repeating-linear-gradient(90deg, ${stops.join(', ')})`;
  }

  function view(figure, data) {
    const place = document.createElement('div');
    place.className = 'zoom';
    place.tabIndex = 0;
    place.setAttribute('role', 'group');
    place.setAttribute(
      'aria-label',
      `${data.title}: a chart to zoom. Drag over it, or use the keys: plus, minus, arrows, 0 for the whole run.`,
    );
    const controls = document.createElement('p');
    controls.className = 'controls';
    const canvas = document.createElement('div');
    const [first, last] = [0, Math.max(...data.paths.map((path) => path.atMs[path.atMs.length - 1]))];
    const joined = uPlot.join(data.paths.map((path) => [path.atMs, path.frameTimeUs]));
    let chart = null;

    function draw() {
      const shown = chart === null ? [first, last] : [chart.scales.x.min, chart.scales.x.max];
      if (chart !== null) chart.destroy();
      const axis = {
        stroke: css('--soft'),
        grid: { stroke: css('--line'), width: 1 },
        ticks: { stroke: css('--line'), width: 1 },
        font: '11px system-ui',
      };
      chart = new uPlot(
        {
          width: Math.max(280, place.clientWidth || 640),
          height: 280,
          scales: { x: { time: false }, y: { distr: 3 } },
          axes: [
            { ...axis, values: (_, ticks) => ticks.map((ms) => (ms === null ? '' : `${+ms.toFixed(3)} ms`)) },
            { ...axis, size: 64, values: (_, ticks) => ticks.map((us) => (us === null ? '' : duration(us))) },
          ],
          series: [
            { label: 'at', value: (_, ms) => (ms == null ? '-' : `${ms.toFixed(2)} ms`) },
            ...data.paths.map((path) => ({
              label: path.name,
              stroke: css(`--c${path.style}`),
              dash: DASHES[path.style % DASHES.length],
              width: 1.5,
              spanGaps: true,
              points: { show: false },
              value: (_, us) => (us == null ? '-' : duration(us)),
            })),
          ],
          cursor: { drag: { x: true, y: false } },
          hooks: {
            setScale: [
              (self, key) => {
                if (key !== 'x') return;
                place.dataset.from = String(self.scales.x.min);
                place.dataset.to = String(self.scales.x.max);
              },
            ],
          },
        },
        joined,
        canvas,
      );
      chart.setScale('x', { min: shown[0], max: shown[1] });
      // uPlot's own keys differ by colour alone: each shows its line. The first is of no path.
      const keys = [...canvas.querySelectorAll('.u-marker')].slice(1);
      for (const [i, { style }] of data.paths.entries())
        keys[i].style.background = dashed(css(`--c${style}`), DASHES[style % DASHES.length]);
      // uPlot's legend hides and shows paths at a click: by keyboard too.
      for (const name of canvas.querySelectorAll('.u-series th')) {
        name.tabIndex = 0;
        name.setAttribute('role', 'button');
        name.addEventListener('keydown', (event) => {
          if (event.key !== 'Enter' && event.key !== ' ') return;
          event.preventDefault();
          name.click();
        });
      }
    }

    /** @param by below 1 zooms in; @param move in parts of what is shown */
    function change(by, move) {
      const { min, max } = chart.scales.x;
      const width = Math.min(last - first, (max - min) * by);
      const middle = (min + max) / 2 + move * (max - min);
      const from = Math.min(Math.max(first, middle - width / 2), last - width);
      chart.setScale('x', { min: from, max: from + width });
    }

    const whole = () => chart.setScale('x', { min: first, max: last });
    const actions = {
      '+': () => change(0.5, 0),
      '=': () => change(0.5, 0),
      '-': () => change(2, 0),
      0: whole,
      Escape: whole,
      ArrowLeft: () => change(1, -0.2),
      ArrowRight: () => change(1, 0.2),
    };
    for (const [words, action] of [
      ['Zoom in', actions['+']],
      ['Zoom out', actions['-']],
      ['Whole run', whole],
    ]) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = words;
      button.addEventListener('click', action);
      controls.append(button);
    }
    place.addEventListener('keydown', (event) => {
      const action = actions[event.key];
      if (action === undefined || event.target !== place || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    });
    place.append(canvas, controls);
    figure.querySelector('figcaption').after(place);
    figure.classList.add('zoomable');
    draw();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
    new ResizeObserver(() => chart.setSize({ width: Math.max(280, place.clientWidth), height: 280 })).observe(place);
  }

  for (const source of document.querySelectorAll('script[type="application/json"][data-trace]')) {
    view(document.getElementById(source.dataset.trace).querySelector('figure'), JSON.parse(source.textContent));
  }
})();
