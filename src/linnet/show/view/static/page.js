"use strict";
// The live page. Everything that comes from a run is put in as text, never as markup.

const DARK = matchMedia("(prefers-color-scheme: dark)");
const ink = () => (DARK.matches ? "#c9d1d8" : "#444c54"); // of the text of figures
const INK = "#7a7a7a";    // of their lines
const MODEBAR = { bgcolor: "rgba(0,0,0,0)", color: "#7a7a7a", activecolor: "#1664c0" };
const GRID = "rgba(128,128,128,0.25)";
const BASELINE = "constant";
const STATES = ["running", "finished", "stopped", "failed", "crashed"];
const MAX_COLUMNS = 12;   // of what differs between recipes
const MAX_POINTS = 16000; // of all lines of a plot
const MAX_SHOWN = 50;     // runs whose curves are asked for
const FIRST_SHOWN = 20;   // of them, unless a person chooses
const MAX_READ = 16;      // lines that one readout tells
const FAR = 1.5;          // how many times the distance of its quartiles a value may be away from them
const LONG = 24;          // characters of a name whose parts that all others have too are left out
const NAME = 44;          // characters of a name that are shown
const SHEET = 36;         // mistakes shown at a time

const page = {
  runs: new Map(),      // id -> {row, now, version, epochs, folds, series, detail, asked}
  shown: null,          // ids whose curves are asked for; null: not told yet
  picks: false,         // whether a person chose them; else they are those of the focus's data and task
  kept: new Set(),      // ids that the filter keeps
  hidden: new Set(),    // "id model" of lines taken out by the legend
  focus: null,          // the run that is told of in full
  chosen: false,        // whether a person chose it
  offsets: new Map(),   // id -> bytes of its record that have come
  sort: { key: "created", down: true },
  model: null,          // of the focus, for matrix, mistakes and what follows
  picked: null,         // whether a person picked that model
  pair: null,           // [true, predicted] that the mistakes are filtered by
  source: null,
  plotly: false,
  named: 0,             // how many runs had been there when their names were made brief
  colors: ["#7a7a7a"],  // of curves, as the server tells them
};

// ---- elements, as text -------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

// A text of the page in its language, with values at its {placeholders}. The texts are those of words.py.
const WORDS = JSON.parse($("words").textContent);
const t = (text, values = {}) => (WORDS[text] ?? text).replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (none(value) || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => !none(child)).map(
    (child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return node;
}

const named = (tag, text, props = {}) => el(tag, { dir: "auto", title: text, ...props, class: `name ${props.class || ""}` }, text);
const none = (value) => value === null || value === undefined;
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const whole = (value) => Math.round(value).toLocaleString("en");
const likely = (p) => (p > 0 && p < 1e-4 ? "<0.01 %" : p < 1 && p > 0.9999 ? ">99.99 %" : percent(p));
const up = (value) => value * (1 + Number.EPSILON); // as linnet.core.text.up: a tie is rounded away from 0
const percent = (value, digits = 2) => `${up(100 * value).toFixed(digits)} %`;

function shown(value) {
  if (none(value)) return "–";
  if (value === true || value === false) return value ? t("yes") : t("no");
  if (!isNumber(value)) return Array.isArray(value) ? value.map(shown).join(", ") : String(value);
  return figure(value);
}

// A number as linnet.core.text.figure writes it: four digits, and all of them before the point.
function figure(value) {
  value = up(value) || 0;  // a negative 0 too
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e12)) return Number(value.toPrecision(4)).toExponential();
  return size >= 999.95 ? Number(value.toFixed(0)).toLocaleString("en") : String(Number(value.toPrecision(4)));
}

function headline(scores) {
  if (!scores) return "–";
  if (isNumber(scores.accuracy)) {
    const [low, high] = scores.accuracy_interval || [];
    return `${t("accuracy")} ${percent(scores.accuracy)}` + (isNumber(low) ? ` (${t("{low} to {high}", { low: up(100 * low).toFixed(2), high: up(100 * high).toFixed(2) })})` : "");
  }
  if (isNumber(scores.rmse)) {
    const [low, high] = scores.rmse_interval || [];
    const r2 = isNumber(scores.r2) ? `, R2 ${up(scores.r2).toFixed(3).replace(/^-(?=[0.]*$)/, "")}` : "";
    return `RMSE ${shown(scores.rmse)}` + (isNumber(low) ? ` (${shown(low)} to ${shown(high)})` : "") + r2;
  }
  return isNumber(scores.loss) ? `loss ${shown(scores.loss)}` : "–";
}

// A score that breaks before its interval alone.
const unbroken = (text) => el("span", {}, text.split(/ (?=\(|R2 )/).flatMap((part) => [el("span", { class: "short" }, part), " "]));

// A p-value with so many digits that it stays on its side of 0.05, as linnet.insight.claims.Chance.
function chance(p) {
  if (p < 0.001) return "p < 0.001";
  const told = [2, 3, 4].map((digits) => Number(up(p).toPrecision(digits)));
  return `p = ${told.find((value) => value < 0.05 === p < 0.05) ?? told[2]}`;
}

// A name of at most so many characters: of a longer one the middle is left out.
function cut(name, most) {
  const text = Array.from(String(name));
  const tail = Math.floor(most / 3);
  return text.length > most ? [...text.slice(0, most - tail - 1), "…", ...text.slice(-tail)].join("") : text.join("");
}

// Names by what differs: of long ones the parts that all of them have are left out.
function brief(names) {
  const parts = (name) => name.split(/(?<=[,;_\s/-])/);
  const bare = (part) => part.replace(/[,;_\s/-]$/, "");
  const counts = new Map(); // in how many names a part is
  for (const name of names) for (const part of new Set(parts(name).map(bare))) counts.set(part, (counts.get(part) || 0) + 1);
  const made = names.map((name) => {
    if (names.length < 2 || name.length <= LONG) return name;
    const kept = parts(name).map((part) => (counts.get(bare(part)) === names.length ? null : part));
    return kept.map((part, i) => part ?? (i && kept[i - 1] === null ? "" : "…")).join("");
  });
  const plain = made.every((name, i) => name === names[i] || name.length >= 8);
  return plain && new Set(made).size === new Set(names).size ? made : names;
}

// A name as Plotly shows it: no markup, no template, one short line.
function label(name, most = 40) {
  return cut(String(name).replace(/[\p{C}\p{Z}]+/gu, " "), most).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "%\u200b{");
}

function table(headings, rows, props = {}) {
  const cell = (value) => {
    if (value instanceof Node) return value.tagName === "TD" ? value : el("td", {}, value);
    const text = shown(value);
    return el("td", { class: isNumber(value) ? "n" : text.length > 40 ? "long" : text.length < 24 ? "short" : null, dir: "auto" }, text);
  };
  return el("table", props,
    el("thead", {}, el("tr", {}, headings.map((text) => text instanceof Node ? text : el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cell)))));
}

// The title of a model, such as perceptron; its name while it is not known.
const titles = {}; // as the last run that tells them calls its models
const titleOf = (run, model) => run.titles[model] || (run.detail && run.detail.titles || {})[model] || titles[model] || model;

const scroll = (what, label) => el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, what);
const stateOf = (state) => STATES.includes(state) ? state : "unknown";
const STATE_TEXTS = { running: t("running"), finished: t("finished"), stopped: t("stopped"), failed: t("failed"), crashed: t("crashed") };
const stateText = (state) => STATE_TEXTS[state] || state || t("unreadable");

// ---- the stream --------------------------------------------------------------------------------

function connect() {
  disconnect();
  if (document.hidden) return;
  const query = new URLSearchParams();
  if (page.shown) {
    query.set("runs", [...page.shown].join(","));
    const known = [...page.shown].filter((id) => page.offsets.has(id));
    query.set("after", known.map((id) => `${id}:${page.offsets.get(id)}`).join(","));
  }
  const source = page.source = new EventSource(`stream?${query}`);
  const on = (kind, work) => source.addEventListener(kind, (event) => {
    if (source === page.source) work(JSON.parse(event.data), event);
  });
  source.onopen = () => say(t("live"));
  source.onerror = () => {
    if (source !== page.source) return;
    say(t("the viewer does not answer; trying again"));
    if (source.readyState === EventSource.CLOSED) setTimeout(() => source === page.source && connect(), 2000);
  };
  on("hello", (data) => {
    page.colors = data.colors;
    $("root").textContent = $("root").title = data.root;
    page.root = data.root.split("/").pop();
    drawTitle();
  });
  on("shown", (data) => {
    page.shown = new Set(data.runs);
    draw("table", "curves");
    if (!page.plotly && page.runs.size) loadPlotly();
  });
  on("run", takeRow);
  on("gone", (data) => {
    page.runs.delete(data.id);
    page.named = 0;
    if (page.shown) page.shown.delete(data.id);
    palette.delete(data.id);
    if (page.focus === data.id) page.focus = null;
    draw("table", "run", "curves");
  });
  on("now", takeNow);
  on("reset", (data) => { const run = page.runs.get(data.id); if (run) run.series.clear(); });
  on("series", takeSeries);
  on("tick", (data, event) => {
    for (const pair of event.lastEventId.split(",")) {
      const [id, bytes] = pair.split(":");
      if (bytes) page.offsets.set(id, Number(bytes));
    }
    if (!page.plotly) loadPlotly();
    draw("table", "run");
    mark("complete");
  });
}

function disconnect() {
  if (page.source) page.source.close();
  page.source = null;
}

function say(text) {
  if ($("link").textContent !== text) $("link").textContent = text;
}

let joining = 0;
function reconnect() {
  clearTimeout(joining);
  joining = setTimeout(connect, 100);
}

function takeRow(row) {
  let run = page.runs.get(row.id);
  if (!run) {
    const fresh = Boolean(page.shown); // it has come while the page is open
    run = { row, brief: row.name, now: {}, version: -1, epochs: {}, folds: {}, titles: {}, series: new Map(), detail: null, asked: -2, fresh };
    page.runs.set(row.id, run);
  }
  if (run.fresh && row.state) { // its first row may come before it has a state, and the next one when it has finished
    run.fresh = false;
    if (page.picks && !page.shown.has(row.id) && page.shown.size < MAX_SHOWN && alike(run, page.runs.get(page.focus))) {
      page.shown.add(row.id);
      reconnect();
    }
  }
  if (run.row.state !== row.state) run.asked = -2;
  run.row = row;
  draw("table", "run");
}

function takeNow(data) {
  const run = page.runs.get(data.id);
  if (!run) return;
  run.now = data.now || {};
  run.version = data.version;
  run.epochs = data.epochs || {};
  run.folds = data.folds || {};
  run.titles = data.titles || {};
  Object.assign(titles, run.titles);
  draw("table", "run", "curves");
}

function takeSeries(data) {
  const run = page.runs.get(data.id);
  if (!run) return;
  const key = `${data.part} ${data.name} ${data.model}`;
  let series = run.series.get(key);
  if (!series) {
    series = { model: data.model, part: data.part, name: data.name, step: [], time: [], value: [] };
    run.series.set(key, series);
  }
  for (const name of ["step", "time", "value"]) {
    series[name].length = Math.min(series[name].length, data.start);
    series[name].push(...data[name]);
  }
  draw("curves");
}

// The first time of each is there to be measured (see benchmarks/view.py).
const mark = (name) => { if (!performance.getEntriesByName(name).length) performance.mark(name); };

// ---- drawing, once for many changes --------------------------------------------------------------

const work = { table: drawTable, run: drawRun, curves: drawCurves, windows: drawWindows };
const due = new Set();
const free = { table: 0, run: 0, curves: 0, windows: 0 }; // when each may be drawn again
let waiting = null;

function draw(...parts) {
  parts.forEach((part) => due.add(part));
  if (waiting === null) waiting = setTimeout(drawDue, 30);
}

function drawDue() {
  waiting = null;
  const now = performance.now();
  for (const part of [...due]) {
    if (now < free[part]) continue;
    due.delete(part);
    const begun = performance.now();
    work[part]();
    const took = performance.now() - begun;
    if (part === "curves" && window.Plotly) performance.measure("curves", { start: begun });
    free[part] = performance.now() + Math.max(part === "curves" || part === "windows" ? 450 : 100, 4 * took);
  }
  if (due.size) {
    const next = Math.min(...[...due].map((part) => free[part]));
    waiting = setTimeout(drawDue, Math.max(20, next - performance.now()));
  }
}

// How long something takes, as people say it.
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value) => String(value).padStart(2, "0");
  if (hours) return t("{hours} h {minutes} min", { hours, minutes: two(minutes) });
  return minutes ? t("{minutes} min {seconds} s", { minutes, seconds: two(whole % 60) }) : t("{seconds} s", { seconds: whole });
}

const far = ({ row, now }) => (row.state === "running" && now.steps ? Math.floor(100 * Math.min(1, now.step / now.steps)) : null);

// The tab's title: how far the run is that is shown.
function drawTitle() {
  const run = page.runs.get(page.focus);
  let text = `${page.root || ""} · linnet`;
  if (run) {
    const done = far(run);
    const begin = done !== null ? `${done} % ` : ["failed", "crashed", "stopped"].includes(run.row.state) ? `${stateText(run.row.state)}: ` : "";
    text = `${begin}${run.row.name} · linnet`;
  }
  if (document.title !== text) document.title = text;
}

// Whether two runs can be compared: they are of the same data, target and task.
const alike = (one, other) => Boolean(one && other) && one.row.group === other.row.group;

// Unless a person chose, what is drawn are the runs that are like the focus, and that the filter keeps.
function follow() {
  if (page.picks || !page.shown) return;
  const order = (a, b) => (b.row.state === "running") - (a.row.state === "running") || String(b.row.created).localeCompare(String(a.row.created));
  const kept = [...page.runs.values()].filter((run) => page.kept.has(run.row.id)).sort(order);
  const focus = page.runs.get(page.focus);
  const first = kept.some((run) => alike(run, focus)) ? focus : kept[0];
  pick(kept.filter((run) => alike(run, first)).slice(0, FIRST_SHOWN).map((run) => run.row.id), false);
}

// Draw these runs and no others.
function pick(ids, picks = true) {
  page.picks = picks;
  const wanted = new Set(ids.slice(0, MAX_SHOWN));
  if (wanted.size === page.shown.size && ids.every((id) => page.shown.has(id))) return;
  for (const id of page.shown) if (!wanted.has(id)) palette.delete(id);
  page.shown = wanted;
  reconnect();
  draw("table", "curves");
}

// ---- the table of runs ---------------------------------------------------------------------------

function scoreOf(run) {
  const { row, now } = run;
  if (isNumber(row.value)) return { name: row.metric, value: row.value, held: "test" };
  const best = now.best || {};
  for (const name of ["accuracy", "rmse", "loss"]) {
    if (isNumber(best[name])) return { name, value: best[name], held: "validation" };
  }
  return { name: null, value: null };
}

function value(run, key) {
  const { row } = run;
  if (key === "score") return scoreOf(run).value;
  if (["name", "state", "created", "data", "chosen"].includes(key)) return row[key];
  if (key === row.metric) return row.value;
  return row.facts ? row.facts[key] : undefined;
}

function differing(runs) {
  const groups = new Map();
  for (const run of runs) groups.set(run.row.group, [...(groups.get(run.row.group) || []), run]);
  const differ = new Set();
  for (const group of groups.values()) {
    const known = group.filter((run) => Object.keys(run.row.facts || {}).length);
    const keys = new Set(known.flatMap((run) => Object.keys(run.row.facts)).filter((key) => !key.includes(".")));
    for (const key of keys) if (new Set(known.map((run) => JSON.stringify(run.row.facts[key]))).size > 1) differ.add(key);
  }
  return [...differ];
}

const SIGNS = {
  "==": (a, b) => a === b, "=": (a, b) => a === b, "!=": (a, b) => a !== b,
  "<=": (a, b) => a <= b, ">=": (a, b) => a >= b, "<": (a, b) => a < b, ">": (a, b) => a > b,
};

function filterOf(text) {
  const tests = text.trim().split(/\s+and\s+/i).filter(Boolean).map((part) => {
    const found = /^([^\s=<>!]+)\s*(==|!=|<=|>=|=|<|>)\s*(.+)$/.exec(part.trim());
    if (found) {
      const [, key, sign, given] = found;
      const text = given.trim().replace(/^(["'])(.*)\1$/, "$2");
      return (run) => {
        const has = value(run, key);
        if (has === undefined || has === null) return false;
        const number = isNumber(has) && text !== "" && !Number.isNaN(Number(text));
        if (!number && String(has).includes(", ") && (sign === "=" || sign === "==")) return String(has).split(", ").includes(text);
        return number ? SIGNS[sign](has, Number(text)) : SIGNS[sign](String(has).toLowerCase(), text.toLowerCase());
      };
    }
    const words = part.toLowerCase().split(/\s+/);
    return (run) => {
      const all = [run.row.name, run.row.state, run.row.data, run.row.chosen, ...Object.values(run.row.facts || {})].join(" ").toLowerCase();
      return words.every((word) => all.includes(word));
    };
  });
  return (run) => tests.every((test) => test(run));
}

function order(a, b) {
  const { key, down } = page.sort;
  const [one, two] = [value(a, key), value(b, key)];
  if (none(one) || none(two)) return none(one) - none(two);
  const rise = isNumber(one) && isNumber(two) ? one - two : String(one).localeCompare(String(two), "en", { numeric: true });
  return (down ? -rise : rise) || a.row.id.localeCompare(b.row.id);
}

function drawTable() {
  const all = [...page.runs.values()];
  if (page.focus === null || !page.runs.has(page.focus) || !page.chosen) pickFocus(all);
  if (page.named !== all.length) brief(all.map((run) => run.row.name)).forEach((name, i) => { all[i].brief = cut(name, NAME); });
  page.named = all.length;
  const keys = differing(all).slice(0, MAX_COLUMNS);
  const kept = all.filter(filterOf($("filter").value)).sort(order);
  page.kept = new Set(kept.map((run) => run.row.id));
  follow();
  drawTitle();
  $("count").textContent = all.length < 2 ? "" : t("{shown} of {all}", { shown: whole(kept.length), all: whole(all.length) });
  $("picks").hidden = all.length < 2;
  const any = (key) => all.some((run) => !none(value(run, key)));
  const columns = [["name", t("run")], ["state", t("state")], ...(any("score") ? [["score", t("score")]] : []), ...(any("chosen") ? [["chosen", t("model")]] : []),
    ["created", t("made")], ...keys.map((key) => [key, key])];
  const heads = [el("th", { scope: "col" }, el("span", { title: t("drawn among the curves") }, t("draw"))), ...columns.map((column) => headOf(column, kept))];
  const groups = new Map();
  for (const run of kept) groups.set(run.row.group, [...(groups.get(run.row.group) || []), run]);
  const newest = (runs) => runs.map((run) => String(run.row.created)).sort().at(-1);
  const bodies = [...groups].sort(([, a], [, b]) => newest(b).localeCompare(newest(a))).map(([name, runs]) => el("tbody", {},
    groups.size > 1 ? groupOf(name, runs, columns.length + 1) : null, runs.map((run) => rowOf(run, columns))));
  const active = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
  const held = $("table").firstChild;
  const [left, top] = [$("table").scrollLeft, $("table").scrollTop];
  const made = all.length ? el("table", {}, el("thead", {}, el("tr", {}, heads)), bodies)
    : el("p", { class: "quiet" }, page.source ? t("No runs here yet; new runs appear automatically.") : "");
  if (held && held.isEqualNode(made)) return;
  $("table").replaceChildren(made);
  if (all.length) mark("shell");
  $("table").scrollTo(left, top);
  if (active) [...$("table").querySelectorAll("[data-key]")].find((node) => node.dataset.key === active)?.focus({ preventScroll: true });
}

function headOf([key, text], kept) {
  const sorted = page.sort.key === key;
  const right = kept.length && kept.every((run) => isNumber(value(run, key)) || none(value(run, key)));
  return el("th", { scope: "col", class: right ? "n" : null, "aria-sort": sorted ? (page.sort.down ? "descending" : "ascending") : null },
    el("button", { "data-key": `sort ${key}`, onclick: () => {
      page.sort = { key, down: sorted ? !page.sort.down : key === "created" || key === "score" };
      draw("table");
    } }, text + (sorted ? (page.sort.down ? " ↓" : " ↑") : "")));
}

// The head of the runs of one data set and task.
function groupOf(name, runs, width) {
  return el("tr", { class: "group" }, el("th", { colspan: width, scope: "rowgroup", dir: "auto" },
    el("span", { class: "stay" }, name || t("unknown data"), el("small", {}, ` ${t("runs: {count}", { count: whole(runs.length) })} `),
      el("button", { "data-key": `group ${name}`, onclick: () => pick(runs.map((run) => run.row.id)) }, t("draw these")))));
}

function rowOf(run, columns) {
  const { row } = run;
  const drawn = page.shown ? page.shown.has(row.id) : false;
  const cells = columns.map(([key]) => {
    if (key === "name") {
      return el("td", {}, el("button", {
        class: "open name", dir: "auto", title: row.name, "data-key": `open ${row.id}`,
        "aria-current": row.id === page.focus ? "true" : null, onclick: () => focusOn(row.id),
      }, run.brief));
    }
    if (key === "state") {
      const done = far(run);
      return el("td", { title: row.error || null }, el("span", { class: `state ${stateOf(row.state)}` }, stateText(row.state) + (done === null ? "" : ` ${done} %`)));
    }
    if (key === "score") {
      const score = scoreOf(run);
      if (score.name === null) return el("td", { class: "n" }, "–");
      const text = score.name === "accuracy" ? percent(score.value) : `${score.name === "rmse" ? "RMSE" : score.name} ${shown(score.value)}`;
      const title = score.held === "test" ? t("test rows") : t("rows that were held out from training, not the test rows");
      return el("td", { class: "n", title }, text, score.held === "test" ? null : el("small", {}, ` ${t("validation")}`));
    }
    if (key === "chosen") return el("td", { dir: "auto" }, none(row.chosen) ? "–" : titleOf(run, row.chosen));
    if (key === "created") return el("td", { title: row.created }, row.created ? row.created.slice(0, 16).replace("T", " ") : "–");
    const found = value(run, key);
    return el("td", { class: isNumber(found) ? "n" : null, dir: "auto", title: isNumber(found) ? null : found }, shown(found));
  });
  const box = el("input", {
    type: "checkbox", "data-key": `draw ${row.id}`, "aria-label": t("draw {name}", { name: row.name }), onchange: (event) => {
      const others = [...page.shown || []].filter((id) => id !== row.id);
      page.shown = page.shown || new Set();
      pick(event.target.checked ? [...others, row.id] : others);
      event.target.checked = page.shown.has(row.id);
    },
  });
  box.checked = drawn;
  box.toggleAttribute("checked", drawn);
  return el("tr", { class: row.id === page.focus ? "focus" : null },
    el("td", {}, box, el("span", { class: "swatch", style: { background: drawn ? colorOf(row.id) : "transparent" } })), cells);
}

function pickFocus(all) {
  const wanted = location.hash.slice(1);
  const named = all.find((run) => run.row.id === wanted);
  const newest = [...all].sort((a, b) => (b.row.state === "running") - (a.row.state === "running")
    || String(b.row.created).localeCompare(String(a.row.created)));
  const found = named || newest[0];
  if (!found || found.row.id === page.focus) return;
  if (named) page.chosen = true;
  page.focus = found.row.id;
  page.model = page.pair = page.picked = drawDetail.of = null;
  draw("run");
}

function focusOn(id) {
  page.focus = id;
  page.chosen = true;
  page.model = page.pair = page.picked = drawDetail.of = null;
  history.replaceState(null, "", `#${id}`);
  if (page.picks && !page.shown.has(id) && page.shown.size < MAX_SHOWN) pick([...page.shown, id]);
  draw("table", "run", "curves");
}

// The colours of drawn runs: to each the one that the fewest others have.
const palette = new Map();
function colorOf(id) {
  if (!palette.has(id)) {
    const uses = page.colors.map((color) => [...palette.values()].filter((other) => other === color).length);
    palette.set(id, page.colors[uses.indexOf(Math.min(...uses))]);
  }
  return palette.get(id);
}

// ---- one run ---------------------------------------------------------------------------------------

function drawRun() {
  draw("windows");
  const run = page.runs.get(page.focus);
  for (const id of ["run", "scores"]) $(id).hidden = !run;
  if (!run) {
    for (const id of ["confusion", "mistakes", "classes", "about", ...OF_RUN, "residuals", "calibration", "weights", "errors"]) $(id).hidden = true;
    return;
  }
  const { row, now } = run;
  const parts = [el("div", { class: "head" }, named("h2", row.name),
    el("span", { class: `state ${stateOf(row.state)}` }, stateText(row.state)))];
  if (row.error) parts.push(el("p", { class: "problem", dir: "auto" }, row.error));
  if (row.state === "crashed") parts.push(el("p", { class: "problem" }, t("Its process has ended unexpectedly; the files that it wrote are kept.")));
  if (row.state === "running" && now.model) {
    const told = [now.title || now.model, now.steps ? t("step {step} of {steps}", { step: whole(now.step), steps: whole(now.steps) }) : t("step {step}", { step: whole(now.step || 0) })];
    if (now.epoch) told.push((now.members ? t("member {member} of {members}, ", { member: (now.member || 0) + 1, members: now.members }) : "") + t("epoch {epoch}", { epoch: now.epoch }));
    if (now.valid) told.push(t("validation {score} now", { score: headline(now.valid) }));
    if (now.best) told.push(t("{score} at its best", { score: headline(now.best) }));
    if (now.samples) told.push(t("{count} samples per second", { count: whole(now.samples) }));
    const since = (Date.now() - Date.parse(row.created)) / 1000;
    if (since > 0) told.push(t("{time} so far", { time: duration(since) }));
    if (isNumber(now.left)) told.push(t("about {time} left for this model", { time: duration(now.left) }));
    parts.push(el("p", {}, told.join(" · ")));
    if (now.steps) parts.push(el("progress", { max: now.steps, value: Math.min(now.step, now.steps), "aria-label": t("steps done") }));
  }
  const detail = run.detail;
  const answer = detail && detail.answer;
  if (answer) {
    parts.push(el("dl", { class: "tiles" }, answer.facts.map(([name, told]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, told)))));
    parts.push(el("p", { class: "verdict", dir: "auto" }, answer.sentence));
  }
  if (detail && detail.verdict) parts.push(el("p", { class: answer ? "quiet long" : "verdict", dir: "auto" }, detail.verdict));
  if (detail && detail.problem) parts.push(el("p", { class: "problem" }, detail.problem));
  const warnings = detail ? detail.findings.filter((finding) => finding.severity !== "note") : [];
  if (warnings.length) parts.push(el("ul", {}, warnings.map((finding) => el("li", { class: "warning", dir: "auto" }, (finding.model ? `${finding.model}: ` : "") + finding.text))));
  fill("run", parts);
  if (run.asked !== run.version && !run.asking) ask(run);
  if (detail && run.drawn !== detail) {
    run.drawn = detail;
    drawDetail(run);
  } else if (detail && drawDetail.of !== run) drawDetail(run);
  if (!detail || !$("scores").childNodes.length) $("scores").hidden = true;
}

// Replace a section's content where it differs, and leave what has the focus where it can stay.
function fill(id, children) {
  const section = $(id);
  const made = el("div", {}, children);
  const now = el("div");
  now.append(...[...section.childNodes].map((node) => node.cloneNode(true)));
  if (!now.isEqualNode(made)) section.replaceChildren(...made.childNodes);
  section.hidden = !section.childNodes.length;
}

async function ask(run) {
  run.asking = true;
  const version = run.version;
  try {
    const answer = await fetch(`run?${new URLSearchParams({ id: run.row.id })}`);
    if (answer.ok) {
      run.detail = await answer.json();
      run.asked = version;
    }
  } catch { /* the stream says that nobody answers */ }
  setTimeout(() => { run.asking = false; draw("run"); }, 1000);
  draw("run");
}

function drawDetail(run) {
  drawDetail.of = run;
  const { detail } = run;
  const models = Object.keys(detail.models);
  const tested = models.filter((name) => detail.models[name].test);
  if (!page.model || !models.includes(page.model)) page.model = detail.chosen || tested[tested.length - 1] || models[models.length - 1] || null;
  drawScores(run);
  const test = page.model && detail.models[page.model] ? detail.models[page.model].test : null;
  drawConfusion(run, test);
  drawClasses(run, test);
  drawAbout(run);
  drawSpent(run);
  const done = run.row.state !== "running" && detail.chosen;
  lazy("mistakes", done && test, run, "mistakes", drawMistakes);
  const two = test && test.classes && test.classes.length === 2;
  const figures = { calibration: test && test.classes, thresholds: two, roc: two, residuals: test && !test.classes, errors: test && !test.classes,
    intervals: test, slices: test, importance: test, dependence: test, weights: true, penalties: "linear" in detail.models, learning: detail.learning, data: true };
  for (const [kind, wanted] of Object.entries(figures)) lazy(kind, done && wanted, run, kind, drawFigure);
}

function drawScores(run) {
  const { models, comparisons, chosen, choice, yardstick, titles = {} } = run.detail;
  const names = Object.keys(models);
  const open = run.row.state === "running"; // what is not there may come
  const beside = Object.entries(yardstick || {}).filter(([, found]) => found.test);
  const intervals = [...names.filter((name) => name !== BASELINE || names.length === 1).map((name) => models[name]), ...beside.map(([, found]) => found)]
    .map((found) => intervalOf(found.test)).filter(Boolean);
  const low = Math.min(...intervals.map((found) => found[0]));
  const high = Math.max(...intervals.map((found) => found[2]));
  const pad = (high - low) * 0.05 || 0.01;
  const tested = names.some((name) => models[name].test);
  const folds = Math.max(0, ...names.map((name) => ((models[name].test || {}).folds || []).length));
  const aside = tested ? "validation" : null; // left out on a phone
  const cells = (label, { valid, test, fit }) => {
    const bounds = intervalOf(test);
    return [el("td", { dir: "auto" }, label), ...(tested ? [el("td", { class: "score" }, unbroken(headline(test))), bounds ? bar(bounds, low - pad, high + pad, headline(test)) : "–"] : []),
    el("td", { class: aside }, unbroken(headline(valid))),
    fit && isNumber(fit.seconds) ? `${fit.seconds.toFixed(1)} s` : "–", (fit && fit.reason) || (open ? t("running …") : "–")];
  };
  const rows = names.map((name) => cells(el("button", {
    "aria-pressed": String(page.model === name), title: t("show this model below"), onclick: () => { page.model = name; page.picked = true; page.pair = null; drawDetail(run); },
  }, titleOf(run, name) + (name === chosen ? " ★" : "")), models[name]));
  rows.push(...beside.map(([name, found]) => cells(`(${titleOf(run, name)})`, found)));
  const tests = Array.isArray(comparisons) ? comparisons : [];
  const told = tests.map((found) => {
    const [one, other] = found.pair.map((name) => titles[name] || name);
    const why = found.significant ? "" : t("; not shown to differ: {why}", { why: found.why || t("may be chance") });
    const p = isNumber(found.p_adjusted) ? found.p_adjusted : found.p_value;
    if (Array.isArray(found.only_right)) {
      return t("{one} against {other}: right alone on {first} and {second} rows; {test} {chance}", { one, other, first: whole(found.only_right[0]), second: whole(found.only_right[1]), test: found.test, chance: chance(p) }) + why;
    }
    const [a, b] = found.difference_interval || [];
    return t("{one} against {other}: mean squared error lower by {difference} (95 % interval {low} to {high}); {chance}", { one, other, difference: shown(found.difference), low: shown(a), high: shown(b), chance: chance(p) }) + why;
  });
  if (tests.length > 1) told.push(t("p-values after Holm's correction for {count} comparisons", { count: tests.length }));
  if (beside.length) told.push(t("({name}): the yardstick, boosted trees of scikit-learn on the same training rows; never chosen, not saved", { name: titleOf(run, beside[0][0]) }));
  told.push(...Object.values(yardstick || {}).filter((found) => found.why).map((found) => t("no yardstick: {why}", { why: found.why })));
  const held = names.some((name) => (models[name].valid || {}).by === "folds") ? t("out of fold") : t("validation, at its best");
  const by = { folds: t("★ chosen by out-of-fold loss"), validation: t("★ chosen by validation loss") }[(choice || {}).by];
  fill("scores", names.length ? [el("h2", {}, t("The models")),
    scroll(table([t("model"), ...(tested ? [folds ? t("{folds} folds (95 % interval)", { folds }) : t("test (95 % interval)"), t("interval")] : []), el("th", { scope: "col", class: aside }, held), t("fitted in"), t("stopped because")], rows), t("scores")),
    ...told.map((text) => el("p", { class: "quiet", dir: "auto" }, text)),
    chosen ? el("p", { class: "quiet" }, `${by || t("★ chosen as the first model")}; ${t("a model's name shows it in the panels below")}`) : null] : []);
}

function intervalOf(test) {
  if (!test) return null;
  for (const name of ["accuracy", "rmse"]) {
    const bounds = test[`${name}_interval`];
    if (isNumber(test[name]) && Array.isArray(bounds) && bounds.every(isNumber)) return [bounds[0], test[name], bounds[1]];
  }
  return null;
}

function bar([from, at, to], low, high, label) {
  const place = (value) => `${Math.max(0, Math.min(100, 100 * (value - low) / (high - low)))}%`;
  if (to < low || from > high) return el("span", { class: "quiet" }, to < low ? t("← further down") : t("further up →"));
  return el("div", { class: "bar", role: "img", "aria-label": label },
    el("i", { style: { left: place(from), right: `calc(100% - ${place(to)})` } }), el("b", { style: { left: `calc(${place(at)} - 1px)` } }));
}

// ---- confusion matrix, classes, mistakes -------------------------------------------------------------

function drawConfusion(run, test) {
  if (!test || !Array.isArray(test.confusion)) { fill("confusion", []); return; }
  const { confusion, classes } = test;
  const codes = test.shown || classes.map((_, index) => index);
  const names = codes.map((code) => String(classes[code]));
  const cut = codes.length < classes.length ? t(", the {count} classes with the most errors of {all}", { count: codes.length, all: classes.length }) : "";
  const totals = codes.map((code) => (test.support || [])[code] || 1);
  const errors = Math.max(1e-9, ...confusion.flatMap((row, i) => row.map((n, j) => (i === j ? 0 : n / totals[i]))));
  const body = confusion.map((row, i) => el("tr", {}, el("th", { scope: "row", dir: "auto", title: names[i] }, names[i]), row.map((count, j) => {
    const share = count / totals[i];
    const alpha = count === 0 ? 0 : i === j ? 0.1 + 0.4 * share : 0.15 + 0.45 * share / errors;
    const selected = page.pair && page.pair[0] === names[i] && page.pair[1] === names[j];
    const told = t("true {true}, predicted {predicted}: {count} rows, {share}", { true: names[i], predicted: names[j], count: whole(count), share: percent(share, 1) });
    return el("td", {
      role: "gridcell", tabindex: -1, "aria-selected": String(Boolean(selected)), "data-i": i, "data-j": j,
      title: told,
      style: { background: alpha ? `rgb(var(--${i === j ? "cell" : "wrong"}) / ${alpha.toFixed(3)})` : "" },
    }, count ? [whole(count), el("small", {}, percent(share, share < 0.1 ? 1 : 0))] : "");
  })));
  const grid = el("table", { class: "matrix", role: "grid", "aria-label": t("confusion matrix") },
    el("thead", {}, el("tr", {}, el("th", { title: t("true classes down, predicted ones across") }, t("true \\ pred.")), names.map((name) => el("th", { scope: "col", dir: "auto", title: name }, name)))),
    el("tbody", {}, body));
  const cells = [...grid.querySelectorAll("td")];
  const start = cells.find((cell) => cell.getAttribute("aria-selected") === "true") || cells[0];
  if (start) start.tabIndex = 0;
  const choose = (cell) => {
    const pair = [names[cell.dataset.i], names[cell.dataset.j]];
    const same = page.pair && page.pair[0] === pair[0] && page.pair[1] === pair[1];
    page.pair = same ? null : pair;
    for (const other of cells) other.setAttribute("aria-selected", String(!same && other === cell));
    const panel = run.panels && run.panels.get(`mistakes ${page.model}`);
    if (panel) drawMistakes(panel, run); else $("mistakes").scrollIntoView({ block: "nearest" });
  };
  grid.addEventListener("click", (event) => { const cell = event.target.closest("td"); if (cell) choose(cell); });
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    const move = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(cell); }
    if (!move) return;
    event.preventDefault();
    const next = grid.querySelector(`td[data-i="${Number(cell.dataset.i) + move[0]}"][data-j="${Number(cell.dataset.j) + move[1]}"]`);
    if (next) { cell.tabIndex = -1; next.tabIndex = 0; next.focus(); }
  });
  $("confusion").replaceChildren(el("h2", {}, t("Confusion matrix of {model}", { model: titleOf(run, page.model) }) + cut),
    el("p", { class: "quiet" }, t("test rows, and their share of the true class; a cell filters the mistakes below")),
    scroll(grid, t("confusion matrix")));
  $("confusion").hidden = false;
}

function drawClasses(run, test) {
  if (!test || !Array.isArray(test.classes) || !Array.isArray(test.f1)) { fill("classes", []); return; }
  const rated = (x) => el("td", { class: "n" }, el("span", { class: "share", style: { width: `${3 * x}rem` } }), isNumber(x) ? x.toFixed(3) : shown(x));
  const rows = test.classes.map((name, i) => [el("td", { dir: "auto" }, String(name)), rated(test.precision[i]), rated(test.recall[i]), rated(test.f1[i]), test.support[i]])
    .sort((a, b) => (drawClasses.byScore ? Number(a[3].textContent) - Number(b[3].textContent) : 0));
  const toggle = el("button", { onclick: () => { drawClasses.byScore = !drawClasses.byScore; drawClasses(run, test); } }, drawClasses.byScore ? t("in their order") : t("lowest F1 first"));
  $("classes").replaceChildren(el("div", { class: "head" }, el("h2", {}, t("Class by class: {model}", { model: titleOf(run, page.model) })), toggle),
    scroll(table([t("class"), t("precision"), t("recall"), "F1", t("support")].map((text, i) => el("th", { scope: "col", class: i ? "n" : null }, text)), rows), t("scores per class")));
  $("classes").hidden = false;
}

function drawMistakes(panel, run) {
  const { columns } = panel;
  if (!columns.row.length) {
    $("mistakes").replaceChildren(el("h2", {}, t("Mistakes")), el("p", {}, t("No mistakes: every test row was predicted right.")));
    return;
  }
  const found = columns.row.map((_, index) => index);
  const classifies = Boolean(columns.probability);
  const kept = found.filter((i) => !page.pair || (String(columns.true[i]) === page.pair[0] && String(columns.predicted[i]) === page.pair[1]));
  if (drawMistakes.by === "pair") kept.sort((a, b) => `${columns.true[a]} ${columns.predicted[a]}`.localeCompare(`${columns.true[b]} ${columns.predicted[b]}`, "en", { numeric: true }) || a - b);
  if (drawMistakes.by === "row") kept.sort((a, b) => columns.row[a] - columns.row[b]);
  const state = `${run.row.id} ${page.model} ${page.pair}`;
  if (drawMistakes.state !== state) { drawMistakes.state = state; drawMistakes.most = SHEET; }
  const part = kept.slice(0, drawMistakes.most);
  const again = () => drawMistakes(panel, run);
  const sorts = el("select", { "aria-label": t("order"), onchange: (event) => { drawMistakes.by = event.target.value; again(); } },
    [["sure", classifies ? t("most confident first") : t("largest first")], ...(classifies ? [["pair", t("by pair")]] : []), ["row", t("by row")]].map(
      ([key, text]) => el("option", { value: key, selected: (drawMistakes.by || "sure") === key }, text)));
  const filter = page.pair ? el("p", { role: "status" }, t("true {true}, predicted {predicted}: {count} shown ", { true: page.pair[0], predicted: page.pair[1], count: whole(kept.length) }),
    page.pair[0] === page.pair[1] ? t("(these are right: no mistakes) ") : "",
    el("button", { onclick: () => { page.pair = null; drawDetail(run); again(); } }, t("show all"))) : null;
  const probability = (i) => (classifies ? percent(columns.probability[i], 0) : "");
  let body;
  if (panel.pictures && panel.pictures.length) {
    body = el("div", { class: "sheet" }, part.map((i) => el("figure", { title: t("row {row}: true {true}, predicted {predicted} {probability}", { row: columns.row[i], true: columns.true[i], predicted: columns.predicted[i], probability: probability(i) }) },
      el("img", { src: panel.pictures[i].startsWith("data:image/") ? panel.pictures[i] : "data:,", alt: t("row {row}", { row: columns.row[i] }) }),
      el("figcaption", { dir: "auto" }, `${shown(columns.true[i])} → ${shown(columns.predicted[i])} ${probability(i)}`))));
  } else {
    const names = Object.keys(columns);
    body = scroll(table(names, part.map((i) => names.map((name) => name === "row" ? el("td", { class: "n" }, columns.row[i])
      : name === "probability" ? el("td", { class: "n" }, likely(columns[name][i])) : shown(columns[name][i])))), t("mistakes"));
  }
  const more = kept.length > part.length ? el("button", { onclick: () => { drawMistakes.most += 2 * SHEET; again(); } }, t("show more ({count})", { count: whole(kept.length - part.length) })) : null;
  $("mistakes").replaceChildren(el("div", { class: "head" }, el("h2", { dir: "auto" }, panel.title || t("Mistakes")), sorts), filter || "", body, more || "");
  $("mistakes").hidden = false;
}

const PARTS = [["batches", t("making batches")], ["steps", t("forward, backward, update")], ["evaluate", t("evaluating")], ["record", t("record and checkpoints")]];

// Where the seconds of each fit went.
function drawSpent(run) {
  const rows = Object.entries(run.detail.spent || {}).filter(([name]) => name !== BASELINE).map(([name, spent]) => {
    const total = PARTS.reduce((sum, [key]) => sum + Math.max(0, spent[key] || 0), 0) || 1e-9;
    const share = (key) => Math.max(0, spent[key] || 0) / total;
    const told = ([key]) => el("td", { class: "n" }, isNumber(spent[key]) ? `${spent[key].toFixed(2)} s (${percent(share(key), 1)})` : "–");
    return [el("td", { dir: "auto" }, titleOf(run, name)),
      el("td", {}, el("div", { class: "parts", "aria-hidden": "true" }, PARTS.map(([key], i) => el("i", { style: { width: `${100 * share(key)}%`, background: page.colors[i] } })))),
      ...PARTS.map(told)];
  });
  const heads = [t("model"), t("shares"), ...PARTS.map(([, text], i) => el("th", { scope: "col", class: "n" }, text, el("span", { class: "swatch", style: { background: page.colors[i] } })))];
  const made = rows.length ? [el("h3", {}, t("Where the time went")), scroll(table(heads, rows), t("Where the time went"))] : [];
  $("spent").replaceChildren(...made);
  if (rows.length) $("steps").hidden = false;
}

function drawAbout(run) {
  const { about, findings } = run.detail;
  const facts = Object.entries(run.row.facts || {}).filter(([key]) => !key.includes("."));
  const pairs = (entries) => el("dl", {}, entries.flatMap(([key, text]) => [el("dt", { dir: "auto" }, key), el("dd", { dir: "auto" }, typeof text === "object" && text !== null ? JSON.stringify(text) : shown(text))]));
  const flat = (found, most = 40) => Object.entries(found || {}).slice(0, most);
  const command = Array.isArray(about.command) ? about.command.map(String).join(" ") : "";
  const made = [[t("command"), command], [t("seed"), about.seed], [t("device"), about.device], [t("threads"), about.threads], ...flat(about.data), [t("versions"), about.versions && Object.entries(about.versions).map(([k, v]) => `${k} ${v}`).join(", ")],
    [t("machine"), about.hardware && about.hardware.processor], ["git", about.git && about.git.commit && about.git.commit + (about.git.dirty ? t(", with changes") : "")]].filter(([, text]) => text !== undefined && text !== null && text !== "");
  const block = (title, content) => el("details", { "data-title": title, open: (drawAbout.open || {})[title], ontoggle: (event) => { drawAbout.open = { ...drawAbout.open, [title]: event.target.open }; } }, el("summary", {}, title), content);
  $("about").replaceChildren(el("h2", {}, t("Reproduce")), ...[
    facts.length ? block(t("recipe"), pairs(facts)) : null, made.length ? block(t("data, code and machine"), pairs(made)) : null,
    findings.length ? block(t("findings ({count})", { count: findings.length }), el("ul", {}, findings.map((finding) => el("li", { dir: "auto" }, `${finding.severity === "note" ? t("note") : t("warning")}: ${finding.text}`)))) : null].filter(Boolean));
  $("about").hidden = false;
}

// ---- panels that are made when they come into view -----------------------------------------------------

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && entry.target.wanted) entry.target.wanted();
}, { rootMargin: "200px" });

const TITLES = {
  mistakes: t("Mistakes"), calibration: t("Calibration: can the probabilities be trusted?"), residuals: t("Predicted against true"), weights: t("Weights"),
  learning: t("Would more data help?"), data: t("Training rows"), errors: t("Residuals"),
  roc: t("ROC, and precision against recall"), thresholds: t("Thresholds"), intervals: t("How sure is each prediction?"), slices: t("For whom does it fail?"),
  importance: t("Which columns matter?"), dependence: t("How do predictions depend on them?"), penalties: t("The path of penalties of the line"),
};
const OPTIONAL = ["learning", "data", "thresholds", "roc", "errors", "intervals", "slices", "importance", "dependence", "penalties"]; // where there is none there is nothing to say
const OF_RUN = ["thresholds", "roc", "intervals", "slices", "importance", "dependence", "penalties", "learning", "data"]; // of the line and the chosen model, whichever is picked

function lazy(id, wanted, run, kind, show) {
  const section = $(id);
  if (!wanted) { section.hidden = true; section.wanted = null; return; }
  const model = page.model;
  const key = OF_RUN.includes(kind) ? kind : `${kind} ${model}${kind === "weights" && page.picked ? " picked" : ""}`;
  if (section.key === `${run.row.id} ${key}` && section.childNodes.length) { section.hidden = false; return; }
  section.key = `${run.row.id} ${key}`;
  run.panels = run.panels || new Map();
  section.hidden = false;
  section.replaceChildren(el("h2", {}, TITLES[kind]), el("p", { class: "quiet" }, t("loading …")));
  const current = () => page.focus === run.row.id && page.model === model;
  section.wanted = async () => {
    section.wanted = null;
    let panel = run.panels.get(key);
    if (!panel) {
      try {
        let which = model; // unless a person picked a model, the weights are those that say most
        if (kind === "weights" && !page.picked) which = "linear" in run.detail.models ? "linear" : "";
        if (OF_RUN.includes(kind)) which = "";
        const answer = await fetch(`panel?${new URLSearchParams({ id: run.row.id, kind, model: which })}`);
        panel = answer.ok ? await answer.json() : { problem: await answer.text() };
      } catch { panel = { problem: t("the viewer does not answer") }; }
      if (!panel.problem || OPTIONAL.includes(kind)) run.panels.set(key, panel);
    }
    if (!current()) return;
    if (panel.problem && OPTIONAL.includes(kind)) section.hidden = true;
    else if (panel.problem) section.replaceChildren(el("h2", {}, TITLES[kind]), el("p", { class: "quiet", dir: "auto" }, panel.problem));
    else show(panel, run, section, kind);
  };
  seen.unobserve(section);
  seen.observe(section);
}

function drawFigure(panel, run, section, kind) {
  const place = el("div", { class: "figure", role: "group", "aria-label": TITLES[kind] });
  const { title, ...rest } = panel.layout;
  const told = rest.annotations && kind === "data" ? "" : unescape((title && title.text) || "");
  section.replaceChildren(el("h2", {}, TITLES[kind]), told ? el("p", { class: "quiet", dir: "auto" }, told) : "", place);
  whenPlotly(() => {
    const draw = () => {
      const layout = structuredClone({ ...(told ? rest : panel.layout), dragmode: false });
      layout.font = { ...layout.font, color: ink() };
      if (told && layout.margin.t === 48) { // it held the title alone
        layout.margin.t = 20;
        layout.height -= 28;
      }
      const narrow = place.clientWidth < NARROW;
      if (narrow) stack(layout);
      const data = narrow ? below(panel.data, layout) : panel.data;
      const { xaxis, yaxis, margin, height } = layout;
      const sheet = !layout.xaxis2 && yaxis && yaxis.scaleanchor && xaxis.range && yaxis.range; // as high as its width makes it
      const tall = sheet ? Math.abs((yaxis.range[1] - yaxis.range[0]) / (xaxis.range[1] - xaxis.range[0])) : 0;
      const width = place.clientWidth;
      Object.assign(layout, { width, height: sheet ? Math.min(height, Math.round(tall * (width - margin.l - margin.r)) + margin.t + margin.b) : height });
      return Plotly.react(place, data, layout, config(() => rowsOf(panel.data))).then(() => reachable(place));
    };
    place.redraw = draw;
    draw();
    sizes.observe(place);
  });
}

// ---- the windows of programs that draw with linnet.compat.visdom -----------------------------------------

const cards = new Map(); // what shows a window: "run number" -> {node, kind, window, style, ...}

async function askWindows(run) {
  run.askingWindows = true;
  const upTo = run.row.windows;
  const held = run.windows = run.windows || { key: "", at: 0, all: new Map() };
  try {
    for (let more = true; more && page.focus === run.row.id;) {
      const answer = await fetch(`windows?${new URLSearchParams({ id: run.row.id, after: held.at, key: held.key })}`);
      if (!answer.ok) break;
      const news = await answer.json();
      if (news.key !== held.key) held.all.clear();
      [held.key, held.at, more] = [news.key, news.at, news.more];
      for (const window of news.windows) held.all.set(window.n, window);
      for (const n of held.all.keys()) if (!news.there.includes(n)) held.all.delete(n);
      draw("windows");
      if (!more) run.askedWindows = upTo;
    }
  } catch { /* the stream says that nobody answers */ }
  setTimeout(() => { run.askingWindows = false; draw("windows"); }, 500);
}

function drawWindows() {
  const run = page.runs.get(page.focus);
  if (run && run.row.windows && run.askedWindows !== run.row.windows && !run.askingWindows) askWindows(run);
  const all = run && run.windows ? [...run.windows.all.values()].sort((a, b) => a.n - b.n) : [];
  $("windows").hidden = !all.length;
  const envs = [...new Set(all.map((window) => window.env))];
  const select = $("env");
  if (select.options.length !== envs.length || envs.some((env, i) => select.options[i].value !== env)) {
    const held = select.value;
    select.replaceChildren(...envs.map((env) => el("option", { value: env }, env)));
    select.value = envs.includes(held) ? held : envs[0] || "";
  }
  select.parentNode.hidden = envs.length < 2;
  const shown = all.filter((window) => window.env === select.value);
  const lined = shown.some((window) => window.kind === "lines");
  for (const id of ["windows-log", "windows-smoothing"]) $(id).parentNode.hidden = !lined;
  const keys = new Set(shown.map((window) => `${run.row.id} ${window.n}`));
  for (const [key, card] of cards) if (!keys.has(key)) { clear(card); card.node.remove(); cards.delete(key); }
  shown.forEach((window, index) => {
    const key = `${run.row.id} ${window.n}`;
    if (!cards.has(key)) cards.set(key, { node: el("article", { class: "window" }), run });
    const card = cards.get(key);
    if ($("window-grid").children[index] !== card.node) $("window-grid").insertBefore(card.node, $("window-grid").children[index] || null);
    drawWindow(card, window);
  });
}

const PLOTTED = ["lines", "bars", "heatmap"];

function clear(card) {
  const { body } = card;
  if (!body || !PLOTTED.includes(card.kind)) return;
  sizes.unobserve(body);
  nearness.unobserve(body);
  near.delete(body.id);
  if (window.Plotly) Plotly.purge(body);
}

function drawWindow(card, told) {
  if (card.kind !== told.kind || card.title !== told.title) {
    clear(card);
    Object.assign(card, { kind: told.kind, title: told.title, drawn: null });
    const heading = named("h3", told.title);
    if (PLOTTED.includes(told.kind)) {
      card.body = el("div", { class: "plot", id: `window-${card.run.row.id}-${told.n}` });
      card.note = el("p", { class: "quiet" });
      card.node.replaceChildren(heading, card.body, card.note);
      sizes.observe(card.body);
      nearness.observe(card.body);
    } else if (told.kind === "pictures") {
      card.image = el("img", { alt: told.title });
      card.slider = el("input", { type: "range", min: 1, step: 1, "aria-label": t("pictures shown in {title}", { title: told.title }), oninput: () => {
        card.place = Number(card.slider.value) - 1;
        showPicture(card);
      } });
      card.note = el("p", { class: "quiet", dir: "auto" });
      card.place = null;
      card.node.replaceChildren(heading, card.image, card.slider, card.note);
    } else {
      card.body = el("pre", { tabindex: 0, role: "region", "aria-label": told.title, dir: "auto" });
      card.node.replaceChildren(heading, card.body);
    }
  }
  if (PLOTTED.includes(told.kind)) plotWindow(card, told);
  else if (card.drawn === told) return;
  else if (told.kind === "pictures") {
    const before = card.pictures && card.place !== null ? card.pictures[card.place] : null;
    const last = told.pictures.length - 1;
    const same = told.pictures.findIndex((one) => before && one.id === before.id && one.time === before.time);
    const stays = before && card.place < card.pictures.length - 1; // who went back stays there
    card.place = stays ? (same >= 0 ? same : Math.min(card.place, last)) : last;
    card.pictures = told.pictures;
    showPicture(card);
  } else card.body.textContent = told.text;
  card.drawn = told;
}

function showPicture(card) {
  const { pictures, place, slider, image } = card;
  const picture = pictures[place];
  const source = `picture?${new URLSearchParams({ id: card.run.row.id, name: picture.id })}`;
  if (image.getAttribute("src") !== source) image.setAttribute("src", source);
  image.width = picture.width;
  image.height = picture.height;
  image.className = picture.width <= 400 ? "small" : "";
  slider.max = pictures.length;
  slider.value = place + 1;
  slider.hidden = pictures.length < 2;
  const told = [pictures.length > 1 ? t("{shown} of {all}", { shown: place + 1, all: pictures.length }) : null,
    isNumber(picture.time) ? t("after {seconds} s", { seconds: picture.time.toFixed(1) }) : null, picture.caption].filter(Boolean).join(" · ");
  slider.setAttribute("aria-valuetext", told);
  card.note.textContent = told;
}

const unescape = (text) => String(text).replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&amp;/g, "&");

function rowsOf(data) {
  const rows = [["name", "x", "y"]];
  for (const trace of data) {
    if (trace.hoverinfo === "skip") continue;
    if (Array.isArray(trace.z)) {
      trace.z.forEach((row, i) => Array.from(row).forEach((value, j) => rows.push([trace.y ? unescape(trace.y[i]).trim() : i, trace.x ? unescape(trace.x[j]).trim() : j, value])));
      rows[0] = ["row", "column", "value"];
    } else if (trace.x && trace.y) Array.from(trace.y).forEach((y, i) => rows.push([unescape(trace.name || ""), trace.x[i], y]));
  }
  return rows;
}

function plotWindow(card, told) {
  if (!window.Plotly || !near.has(card.body.id)) return;
  const smoothing = Number($("windows-smoothing").value);
  const log = $("windows-log").checked;
  const style = `${smoothing} ${log}`;
  if (card.drawn === told && card.style === style && card.body.data) return;
  card.style = style;
  const data = told.data.flatMap((trace, i) => {
    const color = (trace.line && trace.line.color) || page.colors[i % page.colors.length];
    const uid = `window${i}`;
    if (trace.type === "heatmap") return [{ ...trace, uid, colorscale: [[0, "#d6e6f4"], [1, "#1f6fb4"]], colorbar: { thickness: 12, outlinewidth: 0 } }];
    if (trace.type === "bar") return [{ ...trace, uid, marker: { color } }];
    const line = { width: 1.75, ...trace.line, color };
    const marker = { color, ...trace.marker };
    if (smoothing > 0 && trace.mode.startsWith("lines") && trace.y.length > 2) {
      const raw = { ...trace, uid: `${uid}raw`, mode: "lines", line: { ...line, width: 1 }, opacity: 0.25, showlegend: false, hoverinfo: "skip" };
      const series = { step: trace.x, value: trace.y.map((value) => (isNumber(value) ? value : 0)) };
      return [raw, { ...trace, uid, mode: "lines", line, y: smooth({ starts: [] }, series, smoothing) }];
    }
    return [{ ...trace, uid, line, marker }];
  });
  const side = { gridcolor: GRID, zerolinecolor: GRID, linecolor: INK, automargin: true, exponentformat: "power", minexponent: 5 };
  const { xaxis, yaxis, ...more } = told.layout;
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink(), size: 12 }, modebar: MODEBAR, hovermode: "closest", dragmode: "zoom",
    margin: { l: 45, r: 12, t: 8, b: 40 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, uirevision: style, ...more,
    xaxis: { ...side, ...xaxis, title: { ...xaxis.title, standoff: 6 } }, yaxis: { ...side, ...yaxis, title: { ...yaxis.title, standoff: 6 }, ...(log && told.kind === "lines" ? { type: "log", range: null } : {}) },
  };
  card.note.textContent = told.left_out || "";
  Plotly.react(card.body, data, layout, config(() => rowsOf(told.data)));
  reachable(card.body);
}

// ---- curves ----------------------------------------------------------------------------------------------

const ready = [];
function whenPlotly(work) { if (window.Plotly) work(); else ready.push(work); }

function loadPlotly() {
  page.plotly = true;
  requestAnimationFrame(() => setTimeout(() => { // after the table has been painted
    const script = el("script", { src: "plotly.js", async: true });
    script.onload = () => { mark("plotly"); ready.splice(0).forEach((work) => work()); draw("curves", "windows"); };
    script.onerror = () => { $("waiting").textContent = t("The script that draws the curves could not be loaded."); };
    document.head.append(script);
  }, 0));
}

function lines() {
  const ids = page.shown ? [...page.shown].filter((id) => page.runs.has(id) && page.kept.has(id)) : [];
  const choice = $("models").value || "auto";
  const found = [];
  for (const id of ids) {
    const run = page.runs.get(id);
    const models = [...new Set([...run.series.values()].map((series) => series.model))];
    let wanted = models;
    if (choice === "auto" && ids.length > 1) wanted = [models.includes(run.row.chosen) ? run.row.chosen : run.now.model || models[models.length - 1]];
    else if (choice === "auto" || choice === "all") wanted = models.filter((name) => name !== BASELINE || models.length === 1);
    else wanted = models.filter((name) => name === choice);
    for (const model of wanted) if (models.includes(model)) found.push({ run, id, model, several: ids.length > 1 });
  }
  found.forEach((line, index) => {
    line.key = `${line.id} ${line.model}`;
    line.title = titleOf(line.run, line.model);
    line.task = ["accuracy", "rmse"].find((name) => ["valid", "train"].some((part) => line.run.series.has(`${part} ${name} ${line.model}`))) || "";
    line.uid = `line${index}`;
    line.color = line.several && new Set(found.map((other) => other.model)).size <= ids.length ? colorOf(line.id) : page.colors[index % page.colors.length];
    line.get = (part, name) => line.run.series.get(`${part} ${name} ${line.model}`);
    line.solved = Boolean(line.get("train", "objective") || line.get("train", "penalty"));
    const first = Math.min(...[...line.run.series.values()].filter((series) => series.model === line.model && series.time.length).map((series) => series.time[0]));
    const { starts, kept } = line.run.folds[line.model] || {};
    line.starts = starts || [];  // the steps before each member's first one
    line.kept = kept ?? null;    // the step that a fit by folds keeps
    line.folded = line.starts.length > 0 || line.kept !== null;
    const guess = line.run.now.steps && isNumber((line.run.row.facts || {}).epochs) ? line.run.now.steps / line.run.row.facts.epochs / (line.run.now.members || 1) : null;
    line.unit = { step: 1, time: 1, epoch: line.solved ? null : line.run.epochs[line.model] || guess };
    line.first = first;
  });
  return found;
}

// Fade all lines but those of a legend's entry.
function light(key) {
  const line = key ? (page.lines || []).find((other) => other.key === key) : null;
  for (const node of document.querySelectorAll(".plot .scatterlayer .trace")) {
    node.style.opacity = !line || [...node.classList].some((name) => name.startsWith(`trace${line.uid}n`)) ? "" : "0.12";
  }
}

const TICKS = [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`))); // of the error rate in %
const AXES = { epoch: t("epoch"), step: t("step"), time: t("time (s)") };
const PART_TEXTS = { train: t("training"), valid: t("validation"), fold: t("out of fold") };

function places(line, series, axis) {
  if (axis === "time") return series.time.map((time) => Math.max(0, time - line.first));
  return axis === "step" ? series.step : series.step.map((step) => (step - startOf(line, step)) / line.unit.epoch);
}

// The steps before the member of a mean that makes this step; each member has epochs of its own.
const startOf = (line, step) => line.starts.reduce((found, start) => (start < step ? start : found), 0);

// Points with a gap between two members, and before the last point, which belongs to none.
function parted(line, x, y) {
  if (line.starts.length < 2) return { x, y };
  const found = { x: [], y: [] };
  x.forEach((place, i) => {
    if (i && place <= x[i - 1]) { found.x.push(null); found.y.push(null); }
    found.x.push(place);
    found.y.push(y[i]);
  });
  return found;
}

function thin(count, most, values) {
  if (count <= most) return null;
  const kept = [0];
  const buckets = Math.max(1, Math.floor((most - 2) / 2));
  for (let b = 0; b < buckets; b++) {
    const [from, to] = [1 + Math.floor(b * (count - 2) / buckets), 1 + Math.floor((b + 1) * (count - 2) / buckets)];
    let [low, high] = [from, from];
    for (let i = from; i < to; i++) { if (values[i] < values[low]) low = i; if (values[i] > values[high]) high = i; }
    if (to > from) kept.push(Math.min(low, high), ...(low === high ? [] : [Math.max(low, high)]));
  }
  return [...kept, count - 1];
}

// An exponential mean, free of the bias of its start; it begins anew with each member.
function smooth(line, { step, value: values }, weight) {
  let [mean, total] = [0, 0];
  return values.map((value, i) => {
    if (i && startOf(line, step[i]) !== startOf(line, step[i - 1])) [mean, total] = [0, 0];
    mean = weight * mean + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return mean / total;
  });
}

// Where a fit was best; where it ended, if it is by folds.
function best(line) {
  const series = line.get("valid", "loss");
  if (!series || (line.starts.length && line.kept === null)) return null;
  let found = -1;
  if (line.kept !== null) series.step.forEach((step, i) => { if (step <= line.kept) found = i; });
  else series.value.forEach((value, i) => { if ((series.step[i] > 0 || series.step.length === 1) && (found < 0 || value < series.value[found])) found = i; });
  return found < 0 ? null : { step: series.step[found], time: series.time[found] };
}

function nearest(series, step) {
  let at = 0;
  series.step.forEach((s, i) => { if (s <= step) at = i; });
  return at;
}

function traces(drawn, axis, plot, smoothing) {
  const [, , name] = plot;
  const made = [];
  const levels = [];
  const held = []; // what each line shows after its start
  const most = Math.max(60, Math.floor(MAX_POINTS / Math.max(1, drawn.length * (smoothing ? 3 : 2))));
  const [thick, wide] = drawn.length > 6 ? [1.25, 1] : [2, 1.5];
  let [low, high] = [Infinity, -Infinity];
  for (const line of drawn) {
    const who = label(line.several ? `${line.run.brief} · ${line.title}` : line.title, 60);
    const star = best(line);
    let count = 0;
    const uid = () => `${line.uid}n${count++}`;
    for (const part of ["train", "valid"]) {
      const series = line.get(part, name);
      if (!series || !series.value.length) continue;
      const what = PART_TEXTS[part === "train" ? "train" : line.folded ? "fold" : "valid"];
      const values = series.value.map(plot.of || ((value) => value));
      const trace = {
        type: "scatter", mode: "lines", showlegend: false, name: `${who}, ${what}`,
        uid: uid(), line: { color: line.color, width: thick, dash: part === "train" ? "solid" : "dash" }, hovertemplate: "%{y:,.4~r}",
      };
      if (axis === "epoch" && !line.unit.epoch) {
        const level = values[star ? nearest(series, star.step) : values.length - 1];
        levels.push({ ...trace, y: [level, level], line: { ...trace.line, width: wide, dash: part === "train" ? "dot" : "dashdot" }, name: `${trace.name}, ${line.folded ? t("level of its end") : t("level of its best")}` });
        held.push({ part, values: [level] });
        continue;
      }
      const kept = thin(values.length, most, values);
      const pick = (list) => (kept ? kept.map((i) => list[i]) : list);
      const x = pick(places(line, series, axis));
      const y = pick(values);
      for (const place of x) { low = Math.min(low, place); high = Math.max(high, place); }
      if (x.length <= 30) Object.assign(trace, { mode: "lines+markers", marker: { size: x.length === 1 ? 8 : 4, color: line.color } });
      let shown = values;
      if (smoothing > 0 && part === "train" && y.length > 1) { // smoothed before it is thinned
        made.push({ ...trace, uid: uid(), ...parted(line, x, y), opacity: 0.2, hoverinfo: "skip", hovertemplate: null, line: { ...trace.line, width: 1 } });
        shown = smooth(line, { step: series.step, value: values }, smoothing);
        made.push({ ...trace, ...parted(line, x, pick(shown)) });
      } else made.push({ ...trace, ...parted(line, x, y) });
      const later = shown.filter((_, i) => series.step[i] > startOf(line, series.step[i]));
      held.push({ part, values: later.length ? later : shown });
    }
    const series = line.get("valid", name);
    if (star && series && !(axis === "epoch" && !line.unit.epoch)) {
      const at = nearest(series, star.step);
      const x = places(line, { step: [series.step[at]], time: [series.time[at]] }, axis);
      made.push({
        type: "scatter", mode: "markers", showlegend: false, uid: uid(), x, y: [series.value[at]].map(plot.of || ((value) => value)), name: who, hoverinfo: "skip",
        marker: { symbol: "star", size: drawn.length > 6 ? 9 : 12, color: line.color, line: { width: drawn.length > 6 ? 0.5 : 1, color: INK } },
      });
    }
  }
  if (low > high) [low, high] = [0, 1];
  return { data: [...levels.map((level) => ({ ...level, x: [low, high] })), ...made], held };
}

// The range that leaves out the start and spikes: what is far from the quartiles (Tukey 1977).
function usual(held, log) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of held) {
    const sorted = values.filter((value) => !log || value > 0).sort((a, b) => a - b);
    if (!sorted.length) continue;
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const far = FAR * (at(0.75) - at(0.25));
    const near = sorted.filter((value) => value >= at(0.25) - far && value <= at(0.75) + far);
    [low, high] = [Math.min(low, near[0]), Math.max(high, near[near.length - 1])];
  }
  if (low > high) return null;
  if (log) [low, high] = [Math.log10(low), Math.log10(high)];
  const pad = 0.05 * (high - low) || 0.05 * Math.abs(high) || 0.05;
  return [low - pad, high + pad];
}

function config(numbers) {
  const save = (format) => (node) => Plotly.downloadImage(node, { format, filename: "linnet" });
  const more = [{ name: t("save as SVG"), icon: Plotly.Icons.camera, click: save("svg") }];
  if (numbers()) more.push({ name: t("save the numbers as CSV"), icon: Plotly.Icons.disk, click: () => saveCsv(numbers()) });
  return {
    displaylogo: false, responsive: false, typesetMath: false, modeBarButtonsToAdd: more,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
}

// The buttons of a plot that save and reset it, for who has no mouse.
function reachable(node) {
  for (const button of node.querySelectorAll(".modebar-btn")) {
    const title = button.getAttribute("data-title") || "";
    if (!/PNG|SVG|CSV|Reset/.test(title)) continue;
    for (const [key, value] of [["tabindex", 0], ["role", "button"], ["aria-label", title]]) button.setAttribute(key, value);
  }
}

document.addEventListener("keydown", (event) => {
  const button = event.target.closest(".modebar-btn");
  if (!button || (event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  button.dispatchEvent(new MouseEvent("click", { bubbles: true }));
});

function saveCsv(rows) {
  const cell = (value) => /[",\n\r]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value);
  const url = URL.createObjectURL(new Blob([rows.map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" }));
  const link = el("a", { href: url, download: "linnet.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function numbersOf(name) {
  const rows = [["run", "model", "part", "step", "seconds", name]];
  for (const line of lines()) {
    for (const part of ["train", "valid"]) {
      const series = line.get(part, name);
      if (series) series.value.forEach((value, i) => rows.push([line.run.row.name, line.model, part, series.step[i], series.time[i], value]));
    }
  }
  return rows;
}

// Where a plot is, its id, its value, its title; of which lines, how its values are shown, whether its axis may be logarithmic ("asked" or
// "always") and whether it may be smoothed.
const plot = (where, id, name, title, more = {}) => Object.assign([where, id, name, title], more);
const ERROR = (value) => 100 * (1 - value);
const PLOTS = [
  plot("main-plots", "loss", "loss", t("loss"), { log: "asked", smooth: true, untold: true }),
  plot("main-plots", "log_loss", "loss", t("log loss (nats)"), { task: "accuracy", log: "asked", smooth: true }),
  plot("main-plots", "squared", "loss", t("loss (half the squared error)"), { task: "rmse", log: "asked", smooth: true }),
  plot("main-plots", "accuracy", "accuracy", t("error rate (%)"), { of: ERROR, log: "always" }),
  plot("main-plots", "rmse", "rmse", t("RMSE (unit of the target)"), { log: "asked" }),
  plot("step-plots", "samples", "samples", t("samples per second"), { side: { rangemode: "tozero", tickformat: "~s" } }),
  plot("step-plots", "lr", "lr", t("learning rate"), { log: "asked" }),
  plot("step-plots", "memory", "memory", t("memory (MB)"), { of: (value) => 1e-6 * value, side: { rangemode: "tozero", tickformat: "," } }),
  plot("step-plots", "gradient_max", "gradient_max", t("largest gradient entry"), { log: "asked", smooth: true }),
];

// The lines of a plot. Losses of classes and of numbers have axes of their own; what is not known yet goes with the others.
function linesOf(plot, all) {
  if (plot[2] !== "loss") return all;
  const tasks = new Set(all.map((line) => line.task).filter(Boolean));
  const [only] = tasks.size === 1 ? tasks : [null];
  return all.filter((line) => (line.task || only || "") === (plot.task || ""));
}

function drawCurves() {
  const found = lines();
  $("curves").hidden = !found.length;
  drawModels();
  drawLegend(found);
  if (!window.Plotly) return;
  $("waiting").hidden = true;
  let axis = $("axis").value;
  if (axis === "epoch" && !found.some((line) => line.unit.epoch)) axis = "step";
  const drawn = found.filter((line) => !page.hidden.has(line.key));
  page.lines = drawn;
  const smoothing = Number($("smoothing").value);
  const there = PLOTS.filter((plot) => {
    const has = linesOf(plot, found).some((line) => line.get("train", plot[2]) || line.get("valid", plot[2]));
    place(plot[0], `plot-${plot[1]}`, has);
    return has;
  });
  $("steps").hidden = !$("spent").childNodes.length && !there.some(([where]) => where === "step-plots");
  drawStrokes(drawn, axis, smoothing > 0);
  for (const plot of there) if (near.has(`plot-${plot[1]}`)) drawPlot(plot, linesOf(plot, drawn), axis, plot.smooth ? smoothing : 0);
}

function drawPlot(plot, drawn, axis, smoothing) {
  const [where, id, name, title] = plot;
  const { data, held } = traces(drawn, axis, plot, smoothing);
  const rates = held.filter(({ part }) => part === "valid");
  const positive = (rates.length ? rates : held).every(({ values }) => Math.min(...values.slice(-10000)) > 0);
  const log = plot.log === "always" ? positive && held.length > 0 : Boolean(plot.log) && $("log").checked;
  const range = where === "main-plots" && !$("all").checked ? usual(held, log) : null;
  const side = { gridcolor: GRID, zerolinecolor: GRID, linecolor: INK, automargin: true };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink(), size: 12 }, modebar: MODEBAR,
    hovermode: data.length <= 2 * MAX_READ ? "x unified" : "closest", hoverdistance: -1, hoverlabel: { namelength: -1, font: { size: 11 } },
    margin: { l: 50, r: 12, t: 30, b: 42 }, uirevision: `${axis} ${log} ${$("all").checked}`, showlegend: false,
    title: { text: title, x: 0, xref: "paper", font: { size: 13 } },
    xaxis: { ...side, title: { text: AXES[axis], standoff: 6 }, hoverformat: ".4~g" },
    yaxis: { ...side, type: log ? "log" : "linear", exponentformat: log || plot[0] !== "main-plots" ? "power" : "SI", minexponent: 5, ...(log && !(range && range[1] - range[0] < 1) ? (plot.log === "always" ? { tickvals: TICKS, ticktext: TICKS.map(String) } : { dtick: "D2" }) : {}), ...(plot.side || {}), ...(range ? { range } : {}) },
  };
  Plotly.react($(`plot-${id}`), data, layout, config(() => numbersOf(name)));
  $(`plot-${id}`).setAttribute("aria-label", title);
  reachable($(`plot-${id}`));
}

// What the strokes and colours of the curves mean.
function drawStrokes(drawn, axis, smoothed) {
  const level = (line) => axis === "epoch" && !line.unit.epoch;
  const steep = drawn.filter((line) => !level(line));
  const [some, every] = [steep.some((line) => line.folded), steep.every((line) => line.folded)];
  const made = [];
  if (steep.length) {
    made.push(["solid", smoothed ? t("training (the loss is smoothed; the pale line is not)") : t("training")]);
    made.push(["dash", every ? t("out of fold") : some ? t("validation or out of fold") : t("validation")]);
    made.push(["star", every ? t("kept") : some ? t("lowest validation loss or kept") : t("lowest validation loss")]);
  }
  if (drawn.some(level)) {
    made.push(["dot", t("without epochs: level of what is kept, training")]);
    made.push(["dashdot", t("without epochs: level of what is kept, held-out rows")]);
  }
  const told = [];
  if (axis === "epoch" && steep.some((line) => line.starts.length)) told.push(t("each member of the net has a line of its own"));
  if (new Set(drawn.map((line) => line.color)).size < drawn.length) told.push(t("there are more lines than colours: point at a name to show only its line"));
  $("strokes").replaceChildren(...made.map(([kind, text]) => el("span", { class: "stroke" }, el("span", { class: `sample ${kind}`, "aria-hidden": "true" }, kind === "star" ? "★" : null), text)), told.join("; "));
}

// Make room for a plot, in the order of PLOTS, or take it away.
function place(where, id, wanted) {
  const node = $(id);
  if (node && !wanted) { sizes.unobserve(node); nearness.unobserve(node); near.delete(id); Plotly.purge(node); node.remove(); }
  if (node || !wanted) return;
  const made = el("div", { class: "plot", id, role: "group" });
  const after = PLOTS.slice(PLOTS.findIndex((plot) => id === `plot-${plot[1]}`) + 1).map((plot) => `plot-${plot[1]}`);
  $(where).insertBefore(made, [...$(where).children].find((other) => after.includes(other.id)) || null);
  sizes.observe(made);
  nearness.observe(made);
}

// Only what is in view or nearly so is drawn.
const near = new Set();
const nearness = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) near.add(target.id); else near.delete(target.id);
  }
  free.curves = free.windows = 0;
  draw("curves", "windows");
}, { rootMargin: "100px" });

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (!target.querySelector(".main-svg") || !target.clientWidth) continue;
    if (!target.redraw) Plotly.Plots.resize(target);
    else if (target.clientWidth !== target.layout.width) target.redraw();
  }
});

function drawModels() {
  const names = new Set();
  for (const id of page.shown || []) for (const series of page.runs.get(id)?.series.values() || []) names.add(series.model);
  const select = $("models");
  const options = [["auto", t("automatic")], ["all", t("all")], ...[...names].map((name) => [name, titles[name] || name])];
  if (select.options.length === options.length && options.every(([key], i) => select.options[i].value === key)) return;
  const held = select.value || "auto";
  select.replaceChildren(...options.map(([key, text]) => el("option", { value: key }, text)));
  select.value = options.some(([key]) => key === held) ? held : "auto";
}

function drawLegend(found) {
  const made = el("div", {}, found.map((line) => el("button", {
    "data-key": line.key, "aria-pressed": String(!page.hidden.has(line.key)),
    title: line.several ? `${line.run.row.name} · ${line.title}` : line.title,
  }, el("span", { class: "swatch", style: { background: line.color } }),
  line.several ? [el("bdi", {}, line.run.brief), " · "] : null, el("bdi", {}, line.title))));
  const legend = $("legend");
  const now = el("div");
  now.append(...[...legend.childNodes].map((node) => node.cloneNode(true)));
  if (now.isEqualNode(made)) return;
  const active = legend.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  legend.replaceChildren(...made.childNodes);
  if (active) [...legend.children].find((node) => node.dataset.key === active)?.focus();
}

// ---- begin ---------------------------------------------------------------------------------------------------

$("legend").addEventListener("click", (event) => {
  const key = event.target.closest("button")?.dataset.key;
  if (!key) return;
  if (page.hidden.has(key)) page.hidden.delete(key); else page.hidden.add(key);
  free.curves = 0;
  draw("curves");
});
for (const [kind, on] of [["pointerover", true], ["focusin", true], ["pointerleave", false], ["focusout", false]]) {
  $("legend").addEventListener(kind, (event) => light(on ? event.target.closest("button")?.dataset.key : null));
}
$("filter").addEventListener("input", () => { free.table = free.curves = 0; draw("table", "curves"); });
$("pick-one").addEventListener("click", () => page.focus && pick([page.focus]));
$("pick-all").addEventListener("click", () => pick([...page.kept]));
$("pick-none").addEventListener("click", () => pick([]));
$("pick-like").addEventListener("click", () => { page.picks = false; draw("table", "curves"); });
for (const id of ["env", "windows-log", "windows-smoothing"]) $(id).addEventListener("input", () => { free.windows = 0; draw("windows"); });
for (const id of ["models", "axis", "log", "all", "smoothing"]) $(id).addEventListener("input", () => { free.curves = 0; draw("curves"); });
DARK.addEventListener("change", () => {
  for (const node of document.querySelectorAll(".figure")) if (node.redraw) node.redraw();
  for (const card of cards.values()) card.style = null;
  draw("curves", "windows");
});
document.addEventListener("visibilitychange", () => { if (document.hidden) { disconnect(); say(t("paused while hidden")); } else connect(); });
window.addEventListener("pagehide", disconnect);
if (location.search) history.replaceState(null, "", location.pathname + location.hash); // the cookie holds the key now
connect();
