// The report: a list to sort and filter, an utterance to see and hear, charts.  Data comes from data.js.
"use strict";

const report = window.REPORT;
const $ = (id) => document.getElementById(id);
const STEP = 300; // rows that are put into the list at a time
const make = (tag, text = "", kind = "") => Object.assign(document.createElement(tag), { textContent: text, className: kind });
const fixed = (value, digits) => (value === undefined || value === null ? "" : value.toFixed(digits));

// ---------------------------------------------------------------- totals and accuracy

function showTotals() {
  const t = report.totals;
  document.title = `${report.title}: alignment report`;
  $("title").textContent = report.title;
  const model = t.model ? `, model ${t.model}` : "";
  $("totals").textContent = `${t.files} files, ${t.utterances} utterances, ${t.speakers} speakers, ` +
    `${(t.seconds / 3600).toFixed(2)} hours aligned, ${t.words} words, ${t.oovs} in no dictionary${model}, ` +
    `aligner ${t.version}`;
  const kinds = [["suspect", "suspect: look at these"], ["failed", "failed: not aligned"], ["ok", "look right"]];
  for (const [kind, text] of kinds) {
    const button = make("button", "", kind);
    button.append(make("b", String(t[kind])), text);
    button.onclick = () => { $("status").value = kind; refresh(); };
    $("verdict").append(button);
  }
}

function showAccuracy() {
  const a = report.accuracy;
  if (!a) return;
  $("accuracy").hidden = false;
  const tolerances = [5, 10, 15, 20, 25, 50, 100];
  const table = make("table");
  const head = make("tr");
  for (const name of ["", "boundaries", "MAE ms", "median", "bias", ...tolerances.map((t) => `≤${t} ms`)])
    head.append(make("th", name, "number"));
  table.append(head);
  for (const [name, s] of Object.entries(a.tiers)) {
    const row = make("tr");
    row.append(make("td", name));
    const cell = (text, key) => {
      const td = make("td", text, "number");
      const interval = s.interval[key];
      if (interval) td.title = `95 % interval over files: ${interval[0].toFixed(2)} to ${interval[1].toFixed(2)}`;
      row.append(td);
    };
    cell(String(s.count)); cell(fixed(s.mae, 2), "mae"); cell(fixed(s.median, 2)); cell(fixed(s.bias, 2), "bias");
    for (const t of tolerances) cell(`${fixed(s.within[t], 1)} %`, `within_${t}`);
    table.append(row);
  }
  $("accuracy").append(make("h2", "Accuracy against the reference"), table, make("p",
    `${a.files} references, ${a.missing} missing; phone error rate ${fixed(a.per, 2)} %, boundaries found within 20 ms: ` +
    `F1 ${fixed(a.f1, 3)}, R-value ${fixed(a.r_value, 3)}; overlap ${fixed(a.overlap, 1)} %, ` +
    `equal frames ${fixed(a.frames, 1)} %`, "hint"));
}

// ---------------------------------------------------------------- the list

const COLUMNS = [
  ["status", (u) => ({ failed: 0, suspect: 1, ok: 2 })[u.status], (u) => u.status],
  ["file", (u) => u.file, (u) => u.file],
  ["speaker", (u) => u.speaker, (u) => u.speaker],
  ["seconds", (u) => (u.end === null ? 0 : u.end - u.start), (u) => (u.end === null ? "" : (u.end - u.start).toFixed(2))],
  ["confidence", (u) => u.figures.confidence ?? -1, (u) => fixed(u.figures.confidence, 2)],
  ["worst fit", (u) => u.figures.worst_margin ?? -99, (u) => fixed(u.figures.worst_margin, 1)],
  ["SNR dB", (u) => u.figures.snr ?? Infinity, (u) => fixed(u.figures.snr, 0)],
  ["why", (u) => u.reasons.join("; "),
    (u) => (u.reasons[0] ?? "") + (u.reasons.length > 1 ? ` (and ${u.reasons.length - 1} more)` : "")],
];
const HINTS = { confidence: "mean posterior probability of the words, among all phones",
  "worst fit": "how well the worst 0.3 s fit the transcript: a log-likelihood ratio. Below −7.75 is suspect; so are a " +
    "worse half second, or three phones, that this column does not show",
  "SNR dB": "speech over pauses; empty where there is hardly a pause, below 0 where the pauses are speech",
  "file MAE ms": "mean absolute error of the file's phone boundaries" };
const NUMBERS = new Set(["seconds", "confidence", "worst fit", "SNR dB", "file MAE ms"]);
let listed = [];
let filled = 0;
let sorting = { column: 0, down: false };
let chosen = null;

if (report.accuracy)
  COLUMNS.splice(6, 0, ["file MAE ms", (u) => u.mae ?? Infinity, (u) => fixed(u.mae, 1)]);

function setUpList() {
  COLUMNS.forEach(([name], k) => {
    const th = make("th", name, NUMBERS.has(name) ? "number" : name);
    th.title = HINTS[name] ?? "";
    th.onclick = () => {
      sorting = { column: k, down: sorting.column === k && !sorting.down };
      refresh();
    };
    $("columns").append(th);
  });
  const option = (value, text) => new Option(text, value);
  $("status").append(option("", "all"), option("suspect", "suspect"), option("failed", "failed"), option("ok", "ok"));
  $("speaker").append(option("", "every speaker"),
    ...[...new Set(report.utterances.map((u) => u.speaker))].sort().map((s) => option(s, s || "(none)")));
  $("filter").oninput = refresh;
  for (const id of ["status", "speaker"]) $(id).onchange = () => { $(id).blur(); refresh(); }; // keys are the page's again
  $("list").onscroll = () => {
    if ($("list").scrollTop + $("list").clientHeight > $("list").scrollHeight - 400) fill();
  };
}

function refresh() {
  const wanted = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const status = $("status").value, speaker = $("speaker").value, anyone = $("speaker").selectedIndex === 0;
  listed = report.utterances.filter((u) => (!status || u.status === status) && (anyone || u.speaker === speaker) &&
    wanted.every((w) => `${u.file} ${u.text} ${u.reasons.join(" ")}`.toLowerCase().includes(w)));
  const key = COLUMNS[sorting.column][1];
  const sign = sorting.down ? -1 : 1;
  const rank = (u) => (key(u) === Infinity && sorting.down ? -Infinity : key(u)); // what is not known comes last
  listed.sort((a, b) => (rank(a) < rank(b) ? -sign : rank(a) > rank(b) ? sign : 0)); // stable: then by concern
  [...$("columns").children].forEach((th, k) =>
    th.setAttribute("aria-sort", k !== sorting.column ? "none" : sorting.down ? "descending" : "ascending"));
  $("rows").replaceChildren();
  filled = 0;
  fill();
  $("shown").textContent = `${listed.length} of ${report.utterances.length}${listed.length ? "" : ": nothing matches"}`;
}

function fill(until = filled + STEP) {
  const rows = document.createDocumentFragment();
  for (; filled < Math.min(until, listed.length); filled++) {
    const u = listed[filled];
    const row = make("tr");
    row.dataset.id = u.id;
    if (chosen === u) row.className = "chosen";
    COLUMNS.forEach(([name, , text]) => row.append(make("td", text(u),
      name === "status" ? u.status : name === "why" ? "why" : NUMBERS.has(name) ? "number" : name)));
    row.onclick = () => choose(u);
    rows.append(row);
  }
  $("rows").append(rows);
}

// ---------------------------------------------------------------- one utterance

const LANE = 26, AXIS = 20, HEIGHT = 280, MARGIN = 120; // pixels; names of the tiers stand in the margin
let loaded = null; // what the utterance's script handed over
let picture = null;
let view = { from: 0, to: 1 }; // s, shown
let marked = null; // interval that was clicked

function choose(u, reveal = false) {
  chosen = u;
  stop();
  for (const row of $("rows").children) row.classList.toggle("chosen", row.dataset.id === u.id);
  const k = listed.indexOf(u);
  if (reveal && k >= 0) {
    if (k >= filled) fill(k + STEP);
    $("rows").children[k].scrollIntoView({ block: "nearest" });
  }
  $("viewer").hidden = false;
  $("name").textContent = u.file + (u.speaker ? `  (${u.speaker})` : "");
  $("reasons").textContent = u.reasons.join("; ");
  loaded = picture = marked = null;
  document.body.dataset.loaded = "";
  if (!u.shown) { paint(); $("where").textContent = "its recording cannot be shown"; return; }
  $("where").textContent = "";
  const script = make("script");
  script.src = `utterances/${u.id}.js`;
  script.onload = () => script.remove();
  script.onerror = () => { $("where").textContent = "its file is missing from the report: make the report again"; };
  document.head.append(script);
}

window.utterance = (content) => { // called by the utterance's script
  if (!chosen || content.id !== chosen.id) return;
  loaded = content;
  view = { from: loaded.start, to: loaded.start + loaded.length };
  $("scroll").value = 0;
  if (chosen.at !== null && loaded.length > 12) show(chosen.at - 3, chosen.at + 5);
  const image = new Image();
  image.onload = () => { if (chosen.id === content.id) { picture = image; paint(); } };
  image.src = `utterances/${content.id}.jpg`;
  paint();
  document.body.dataset.loaded = content.id;
  $("viewer").scrollIntoView({ block: "nearest" });
};

function show(from, to) {
  if (!loaded) return;
  const end = loaded.start + loaded.length;
  const length = Math.max(0.05, Math.min(to - from, loaded.length));
  from = Math.max(loaded.start, Math.min(from, end - length));
  view = { from, to: from + length };
  $("scroll").value = length >= loaded.length ? 0 : (1000 * (from - loaded.start)) / (loaded.length - length);
  paint();
}

const zoom = (factor, around = (view.from + view.to) / 2) =>
  show(around - (around - view.from) * factor, around + (view.to - around) * factor);

function paint() {
  const canvas = $("picture");
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ratio = window.devicePixelRatio || 1;
  const names = loaded ? Object.keys(loaded.tiers) : [];
  const width = canvas.clientWidth - MARGIN, height = HEIGHT + AXIS + LANE * names.length;
  canvas.style.height = `${height}px`;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = height * ratio;
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  c.fillStyle = colour("--ground");
  c.fillRect(0, 0, canvas.clientWidth, height);
  if (!loaded) return;
  c.font = "12px system-ui, sans-serif";
  c.fillStyle = colour("--soft");
  names.forEach((name, k) => c.fillText(name, width + 8, HEIGHT + AXIS + k * LANE + 17));
  c.save();
  c.beginPath();
  c.rect(0, 0, width, height);
  c.clip();
  const x = (t) => ((t - view.from) / (view.to - view.from)) * width;
  if (picture) {
    const perSecond = picture.width / loaded.length;
    c.filter = document.documentElement.dataset.dark ? "invert(1)" : "none";
    c.drawImage(picture, (view.from - loaded.start) * perSecond, 0, (view.to - view.from) * perSecond, picture.height,
      0, 0, width, HEIGHT);
    c.filter = "none";
  }
  c.font = "12px system-ui, sans-serif";
  for (let hertz = 2000; hertz < loaded.top; hertz += 2000)
    write(c, colour, "--ink", `${hertz / 1000} kHz`, 4, HEIGHT * (1 - hertz / loaded.top));
  drawAxis(c, x, colour, width);
  names.forEach((name, k) => drawTier(c, x, colour, name, HEIGHT + AXIS + k * LANE, width));
  if (chosen.at !== null) { // where the first reason says to look
    c.fillStyle = colour("--suspect");
    c.fillRect(x(chosen.at) - 1, 0, 2, HEIGHT);
    write(c, colour, "--suspect", "look from here", x(chosen.at) + 5, 16);
  }
  if (marked) {
    c.fillStyle = colour("--accent");
    c.globalAlpha = 0.18;
    c.fillRect(x(marked[0]), 0, x(marked[1]) - x(marked[0]), height);
    c.globalAlpha = 1;
  }
  c.restore();
}

function write(c, colour, ink, text, left, baseline) { // on a ground of its own: sound may be dark or light there
  c.fillStyle = colour("--ground");
  c.fillRect(left - 2, baseline - 12, c.measureText(text).width + 4, 16);
  c.fillStyle = colour(ink);
  c.fillText(text, left, baseline);
}

function drawAxis(c, x, colour, width) {
  const span = view.to - view.from;
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((s) => (s / span) * width > 70) ?? 600;
  c.fillStyle = colour("--soft");
  for (let k = Math.ceil(view.from / step); k * step <= view.to; k++) {
    c.fillRect(x(k * step), HEIGHT, 1, 4);
    const label = `${(k * step).toFixed(step < 0.1 ? 2 : 1)} s`;
    if (x(k * step) + 3 + c.measureText(label).width < width) c.fillText(label, x(k * step) + 3, HEIGHT + 14);
  }
}

function drawTier(c, x, colour, name, top, width) {
  const isReference = name.startsWith("reference");
  c.fillStyle = colour(isReference ? "--raised" : "--ground");
  c.fillRect(0, top, width, LANE);
  c.strokeStyle = colour("--line");
  c.strokeRect(0, top, width, LANE);
  for (const [start, end, label] of loaded.tiers[name]) {
    if (end < view.from || start > view.to) continue;
    const left = x(start), right = x(end);
    c.globalAlpha = name === "phones" ? 0.55 : 1;
    c.fillStyle = colour(isReference ? "--suspect" : "--accent");
    c.fillRect(left, top, 1, LANE);
    if (name === "phones") c.fillRect(left, 0, 0.6, HEIGHT); // the phones' boundaries run through the spectrogram
    c.globalAlpha = 1;
    const shown = Math.max(left, 0);
    c.fillStyle = colour("--ink");
    c.save();
    c.beginPath();
    c.rect(left, top, right - left, LANE);
    c.clip();
    let wide = c.measureText(label).width;
    if (right - shown <= wide + 2) { // smaller, or not at all: a part of a label may be another label
      c.font = "9px system-ui, sans-serif";
      wide = c.measureText(label).width;
    }
    if (right - shown > wide + 2) c.fillText(label, shown + Math.max(2, (Math.min(right, width) - shown - wide) / 2), top + 17);
    c.restore(); // the font, too
  }
}

function at(event) { // the time and the interval under the pointer
  const box = $("picture").getBoundingClientRect();
  const time = view.from + ((event.clientX - box.left) / (box.width - MARGIN)) * (view.to - view.from);
  const names = Object.keys(loaded.tiers);
  const lane = Math.floor((event.clientY - box.top - HEIGHT - AXIS) / LANE);
  const name = lane >= 0 ? names[lane] : names.find((n) => n === "phones");
  const interval = name && loaded.tiers[name].find(([start, end]) => start <= time && time < end);
  return { time, name, interval };
}

// ---------------------------------------------------------------- sound

let context = null;
let source = null;
let asked = 0;
const decoded = { id: null, buffer: null };

async function sound() {
  if (decoded.id !== loaded.id) {
    const raw = Uint8Array.from(atob(loaded.audio), (c) => c.charCodeAt(0));
    const id = loaded.id;
    context ??= new AudioContext();
    const buffer = await context.decodeAudioData(raw.buffer);
    Object.assign(decoded, { id, buffer });
  }
  return decoded.buffer;
}

async function play(from, to) {
  if (!loaded) return;
  stop();
  const mine = ++asked;
  const buffer = await sound();
  await context.resume();
  if (mine !== asked) return; // another was asked for while this one was decoded
  source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  const playing = source;
  source.onended = () => { if (source === playing) stop(); };
  source.start(0, from - loaded.start, to - from); // to the sample: a phone may last 30 ms
  document.body.dataset.playing = `${from.toFixed(3)}-${to.toFixed(3)}`;
  document.body.dataset.played = document.body.dataset.playing;
}

function stop() {
  asked++;
  if (source) { source.onended = null; try { source.stop(); } catch { /* it had not begun */ } }
  source = null;
  document.body.dataset.playing = "";
}

const playAll = () => loaded && play(loaded.start, loaded.start + loaded.length);

function hear(interval, name) {
  marked = interval;
  $("where").textContent = `${name ?? ""} ${interval[2] || "(silence)"}: ${interval[0].toFixed(3)} to ` +
    `${interval[1].toFixed(3)} s, ${(1000 * (interval[1] - interval[0])).toFixed(0)} ms`;
  if (interval[0] < view.from || interval[1] > view.to) {
    const half = (view.to - view.from) / 2, middle = (interval[0] + interval[1]) / 2;
    show(middle - half, middle + half);
  } else paint();
  play(interval[0], interval[1]);
}

// ---------------------------------------------------------------- mouse and keys

function neighbour(step, only = () => true) {
  for (let k = listed.indexOf(chosen) + step; k >= 0 && k < listed.length; k += step)
    if (only(listed[k])) return choose(listed[k], true);
  $("where").textContent = "there is none further in the list";
}

function walk(step) {
  const tier = loaded?.tiers.phones ?? loaded?.tiers.words;
  if (!tier) return;
  const now = tier.findIndex((i) => marked && i[0] === marked[0] && i[1] === marked[1]);
  const inView = tier.findIndex((i) => i[1] > (chosen.at !== null && !marked ? chosen.at : view.from)); // where one looks
  const next = now < 0 ? Math.max(inView, 0) : now + step;
  if (tier[next]) hear(tier[next], "phones");
}

const KEYS = {
  j: () => neighbour(1), k: () => neighbour(-1), ArrowDown: () => neighbour(1), ArrowUp: () => neighbour(-1),
  n: () => neighbour(1, (u) => u.status !== "ok"), " ": () => (source ? stop() : playAll()),
  v: () => play(view.from, view.to), Escape: stop, "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2),
  0: () => loaded && show(loaded.start, loaded.start + loaded.length), ArrowRight: () => walk(1), ArrowLeft: () => walk(-1),
  Enter: () => marked && hear(marked), "/": () => $("filter").focus(),
};

function setUpViewer() {
  const canvas = $("picture");
  canvas.onclick = (event) => {
    if (!loaded) return;
    const { interval, name } = at(event);
    if (interval) hear(interval, name);
  };
  canvas.onmousemove = (event) => {
    if (!loaded) return;
    const { time, interval } = at(event);
    canvas.title = interval ? `${interval[2] || "silence"}  ${interval[0].toFixed(3)}–${interval[1].toFixed(3)} s` :
      `${time.toFixed(3)} s`;
  };
  canvas.addEventListener("wheel", (event) => {
    if (!loaded) return;
    event.preventDefault();
    const span = view.to - view.from;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = (span * (event.deltaX || event.deltaY)) / 1000;
      show(view.from + by, view.to + by);
    } else zoom(event.deltaY > 0 ? 1.25 : 0.8, at(event).time);
  }, { passive: false });
  const go = { play: playAll, view: KEYS.v, stop, in: KEYS["+"], out: KEYS["-"], whole: KEYS[0], previous: KEYS.k, next: KEYS.j };
  for (const [id, action] of Object.entries(go))
    $(id).onclick = (event) => { if (event.detail) $(id).blur(); action(); }; // after a click, keys are the page's again
  $("scroll").oninput = () => {
    if (!loaded) return;
    const span = view.to - view.from;
    const from = loaded.start + ($("scroll").value / 1000) * (loaded.length - span);
    show(from, from + span);
  };
  addEventListener("resize", paint);
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.id === "filter") {
      if (event.key === "Escape" || (event.key === "Enter" && listed.length)) {
        event.target.blur();
        if (event.key === "Enter") choose(listed[0], true);
      }
      return;
    }
    if (event.target.id === "scroll" && event.key.startsWith("Arrow")) return;
    const action = KEYS[event.key];
    if (action) { event.preventDefault(); action(); }
  });
}

// ---------------------------------------------------------------- charts and theme

const layout = (own) => {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  return { ...own, paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: ink, size: 12 },
    colorway: [style.getPropertyValue("--accent").trim()], margin: { l: 55, r: 15, t: 45, b: 60 }, bargap: 0.05,
    xaxis: { ...own.xaxis, gridcolor: line }, yaxis: { ...own.yaxis, gridcolor: line, zerolinecolor: line } };
};

function loadCharts() { // when they come into sight: their library takes longer to load than all the rest
  const watch = new IntersectionObserver((entries) => {
    if (!entries.some((e) => e.isIntersecting)) return;
    watch.disconnect();
    const script = make("script");
    script.src = "plotly.js";
    script.onload = drawCharts;
    document.head.append(script);
  }, { rootMargin: "200px" });
  watch.observe($("charts"));
}

function drawCharts() {
  if (!window.Plotly) return;
  const charts = report.charts;
  const options = { responsive: true, displaylogo: false };
  for (const name of ["durations", "errors", "classes"].filter($))
    if (charts[name]) window.Plotly.react(name, charts[name].data, layout(charts[name].layout), options);
    else $(name).remove();
  const phones = Object.keys(charts.histograms);
  const most = phones.reduce((a, b) => (sum(charts.histograms[a]) >= sum(charts.histograms[b]) ? a : b), phones[0]);
  if (most) drawHistogram($("histogram").dataset.phone ?? most);
  $("durations").removeAllListeners?.("plotly_click");
  $("durations").on?.("plotly_click", (event) => drawHistogram(event.points[0].x));
  document.body.dataset.charts = "drawn";
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

function drawHistogram(phone) {
  const counts = report.charts.histograms[phone];
  $("histogram").dataset.phone = phone;
  window.Plotly.react("histogram", [{ type: "bar", x: counts.map((_, k) => (k + 0.5) * report.charts.bin), y: counts }],
    layout({ title: { text: `Durations of ${phone} (${sum(counts)} of them; the last bar holds all that are longer)` },
      xaxis: { title: { text: "ms" } }, yaxis: { title: { text: "phones" } } }), { responsive: true, displaylogo: false });
}

function setTheme(theme) {
  const root = document.documentElement;
  if (theme) root.dataset.theme = theme;
  try { // some browsers forbid it to pages from disk
    if (theme) localStorage.setItem("aligner-theme", theme);
    root.dataset.theme = localStorage.getItem("aligner-theme") ?? root.dataset.theme ?? "";
  } catch { /* then it is forgotten */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.dark = dark ? "yes" : "";
  paint();
  drawCharts();
}

$("theme").onclick = () => setTheme(document.documentElement.dataset.dark ? "light" : "dark");
matchMedia("(prefers-color-scheme: dark)").onchange = () => setTheme();
showTotals();
showAccuracy();
setUpList();
setUpViewer();
refresh();
setTheme();
addEventListener("load", () => setTimeout(loadCharts, 300)); // the list can be read and used before
