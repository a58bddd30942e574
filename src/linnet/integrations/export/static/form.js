"use strict";
// A form for a row of a table, or of numbers.

const AT_ONCE = 40;       // fields that are shown before one asks for more
const SEARCHED = 12;      // with more columns there is a field to search in
const LISTED = 60;        // with more categories they are typed, with proposals
const ANOTHER = "(another)"; // a category that the model does not know

const day = (seconds, timed) => new Date(seconds * 1000).toISOString().slice(0, timed ? 19 : 10);

// The columns as the form shows them: those of a table, or numbers.
const columnsOf = () => (schema.fields.length ? schema.fields : Array.from({ length: schema.shape[0] }, (_, i) => ({
  name: schema.columns[i] ?? `column ${i + 1}`, kind: "number", categories: [], fill: [facts.start[i]], typical: facts.start[i],
  range: null, ends: null, missing: false, plain: true,
})));

// A category that no training row had.
function another(field) {
  let word = ANOTHER;
  while (field.categories.includes(word)) word = `(${word})`;
  return word;
}

// With what the form begins: a typical row, or where it is not known what stands in for missing values.
function beginning(field) {
  const { typical, fill } = field;
  if (field.kind === "category") return field.categories[typical ?? 0] ?? null;
  if (field.kind === "boolean") return (typical ?? fill[0]) >= 0.5;
  if (field.kind === "number") return Number((typical ?? fill[0]).toPrecision(none(typical) ? 4 : 15));
  if (!none(typical)) return day(typical, field.timed);
  const [year, month, dayOf] = fill.map(Math.round);
  return day(Date.UTC(year, clamp(month, 1, 12) - 1, clamp(dayOf, 1, 28)) / 1000, field.timed);
}

const shownValue = (field, value) => {
  if (value === null) return "missing";
  if (field.kind === "boolean") return value ? "yes" : "no";
  if (field.kind === "number" && typeof value === "number") return figure(value);
  return value === another(field) ? "another" : visible(value);
};

// A value as a server takes it: categories that are numbers as numbers.
const sent = (field, value) => (field.numeric && field.categories.includes(value) ? Number(value) : value);

// What a person should know of a column before typing.
function about(field) {
  if (none(field.range)) return "";
  const [low, high] = field.range;
  if (field.kind === "date") return `${day(low, field.timed)} to ${day(high, field.timed)} in training`;
  return `${figure(low)} to ${figure(high)} in training`;
}

// The step of a slider: one for whole numbers, else a round part of the range.
function stepOf([low, high], typical) {
  const whole = [low, high, typical ?? low].every(Number.isInteger);
  return whole && high - low <= 1000 ? 1 : 10 ** Math.floor(Math.log10((high - low) / 100));
}

// Fills `place`; calls `changed` with {x, body, values, wrong} of the row in the form.
function form(place, changed) {
  const fields = columnsOf();
  const values = new Map(fields.map((field) => [field.name, beginning(field)]));
  const made = new Map(); // name -> {node, tell, set}
  let shown = AT_ONCE;

  const search = el("input", { type: "search", id: "search", placeholder: `Search ${fields.length.toLocaleString("en")} columns`, "aria-label": "Search the columns" });
  const typical = schema.fields.some((field) => !none(field.typical));
  const begins = typical ? "It begins with typical values of the training rows. "
    : facts.start.some((value) => value !== 0) ? "It begins with the means of the training rows. " : "";
  const reset = el("button", { type: "button", id: "reset" }, typical ? "Typical row" : "Start again");
  const more = el("button", { type: "button", id: "more" }, "More columns");
  const grid = el("div", { class: "fields" });
  const count = el("p", { class: "quiet", id: "count", "aria-live": "polite" });
  place.append(
    el("div", { class: "head" }, el("h2", { id: "input-head" }, "A row"), fields.length > SEARCHED ? search : null, reset),
    el("p", { class: "quiet" }, `${begins}Change what you like: the answers follow.`),
    grid, count, more);

  function encode() {
    if (schema.fields.length) return encoded(schema, values);
    const x = new (schema.dtype === "float64" ? Float64Array : Float32Array)(fields.length), wrong = new Map();
    fields.forEach((field, i) => {
      try { x[i] = recorded(field, values.get(field.name), []); } catch (error) { wrong.set(field.name, error.message); }
      if (!Number.isFinite(x[i])) wrong.set(field.name, "too large a number");
    });
    return { x, notes: new Map(), wrong };
  }

  function tell() {
    const { x, notes, wrong } = encode();
    for (const [name, each] of made) each.tell(notes.get(name) || "", wrong.get(name) || "");
    const body = schema.fields.length ? { rows: [Object.fromEntries(fields.map((field) => [field.name, sent(field, values.get(field.name))]))] } : Array.from(x);
    changed({ x, body, wrong, notes: [], value: (name) => shownValue(fields.find((field) => field.name === name), values.get(name)) });
  }

  function set(name, value) {
    values.set(name, value);
    tell();
  }

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = fields.filter((field) => words.every((word) => field.name.toLowerCase().includes(word)));
    made.clear();
    for (const field of found.slice(0, shown)) made.set(field.name, input(field, values.get(field.name), set));
    grid.replaceChildren(...[...made.values()].map((each) => each.node));
    more.hidden = found.length <= shown;
    count.hidden = found.length === made.size && !words.length;
    count.textContent = `${made.size.toLocaleString("en")} of ${plural(fields.length, "column")} shown`;
    tell();
  }

  search.addEventListener("input", soon(120, () => { shown = AT_ONCE; show(); }));
  more.addEventListener("click", () => { shown += 5 * AT_ONCE; show(); });
  reset.addEventListener("click", () => {
    for (const field of fields) values.set(field.name, beginning(field));
    show();
  });
  show();
}

let made = 0; // ids of fields

// One field: {node, tell(note, wrong)}. `set(name, value)` is called when its value changes.
function input(field, value, set) {
  made += 1;
  const id = `field${made}`;
  const note = el("p", { class: "quiet", id: `${id}-note` }), range = about(field);
  const control = { number, category, boolean: category, date: moment }[field.kind](field, value, id, (given) => set(field.name, given));
  const node = el("div", { class: "field" },
    el("div", { class: "label" }, named("label", field.name, { for: id }), field.plain || control.whole ? null : absent()),
    control.node, note);

  // A box that says that the value is missing.
  function absent() {
    const box = el("input", { type: "checkbox", id: `${id}-missing`, "aria-label": `${visible(field.name)} is missing` });
    box.checked = value === null;
    const turn = () => {
      for (const each of control.all) each.disabled = box.checked;
      set(field.name, box.checked ? null : control.read());
    };
    for (const each of control.all) each.disabled = box.checked;
    box.addEventListener("change", turn);
    return el("label", { class: "quiet missing" }, box, " missing");
  }

  return {
    node,
    tell(said, wrong) {
      const [low, high] = field.range || [];
      const given = control.read();
      const beyond = !said && !wrong && field.kind === "number" && !none(low) && (given < low || given > high);
      note.textContent = wrong || said || (beyond ? `beyond the training rows: ${range.replace(" in training", "")}` : range);
      note.className = wrong ? "problem" : said || beyond ? "warning" : "quiet";
      control.all[0].setAttribute("aria-invalid", wrong ? "true" : "false");
    },
  };
}

function number(field, value, id, set) {
  const text = el("input", { type: "text", inputmode: "decimal", id, autocomplete: "off", "aria-describedby": `${id}-note`, value: value ?? beginning(field) });
  const read = () => (text.value.trim() === "" || Number.isNaN(Number(text.value)) ? text.value : Number(text.value));
  const all = [text], { range } = field;
  let slider = null;
  if (!none(range) && range[0] < range[1]) {
    const step = stepOf(range, field.typical);
    slider = el("input", { type: "range", min: range[0], max: range[1], step: step === 1 ? 1 : "any", "aria-label": `${visible(field.name)}, slider`, value: text.value });
    slider.addEventListener("input", () => {
      const rough = Number(slider.value);
      text.value = String(step === 1 ? rough : Number((Math.round(rough / step) * step).toPrecision(12)));
      set(read());
    });
    all.push(slider);
  }
  text.addEventListener("input", () => {
    if (slider && text.value.trim()) slider.value = text.value;
    set(read());
  });
  return { node: el("div", { class: "number" }, text, slider), all, read };
}

// A list of categories, or yes and no; missing is one of them.
function category(field, value, id, set) {
  const words = field.kind === "boolean" ? ["no", "yes"] : field.categories;
  if (words.length > LISTED) return typed(field, value, id, set);
  const list = el("select", { id, "aria-describedby": `${id}-note` }, words.map((word, i) => el("option", { value: i, dir: "auto" }, visible(word))),
    field.kind === "boolean" ? null : el("option", { value: "another" }, "another, not listed"), el("option", { value: "missing" }, "missing"));
  const at = field.kind === "boolean" ? Number(value) : words.indexOf(value);
  list.value = value === null ? "missing" : at < 0 ? "another" : at;
  const read = () => {
    if (list.value === "missing") return null;
    if (list.value === "another") return another(field);
    return field.kind === "boolean" ? list.value === "1" : words[Number(list.value)];
  };
  list.addEventListener("change", () => set(read()));
  return { node: list, all: [list], read, whole: true };
}

// Very many categories: one types, and the browser proposes.
function typed(field, value, id, set) {
  const text = el("input", { type: "text", id, list: `${id}-list`, autocomplete: "off", "aria-describedby": `${id}-note`, value: value ?? beginning(field) });
  const read = () => text.value;
  text.addEventListener("input", () => set(read()));
  const list = el("datalist", { id: `${id}-list` }, field.categories.map((word) => el("option", { value: word })));
  return { node: el("div", {}, text, list), all: [text], read };
}

function moment(field, value, id, set) {
  const text = el("input", { type: field.timed ? "datetime-local" : "date", step: field.timed ? 1 : null, id, "aria-describedby": `${id}-note`, value: value ?? beginning(field) });
  const read = () => text.value;
  text.addEventListener("input", () => set(read()));
  return { node: text, all: [text], read };
}
