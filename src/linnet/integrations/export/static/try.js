"use strict";
// The page: what a person gives goes to the models, and their answers are shown.

const FEW = 12;       // with so many classes all of them are shown, in their order; else the most probable
const TOP = 5;
const LARGEST_TERMS = 8;
const PATIENCE = 120; // milliseconds without a change before a server is asked
const QUIET = 700;    // milliseconds without a change before an answer is read out

const models = facts.models.map((about, number) => {
  const text = $(`numbers${number}`);
  if (!text) return { ...about };
  const tensors = tensorsOf(about.tensors, about.dtype, text.textContent);
  text.remove();
  const model = { ...about, tensors };
  return facts.served ? model : { ...model, predict: network(model, schema.dtype) };
});
const line = models.find((model) => model.line);

// ---- answers ----------------------------------------------------------------------------------------

// Answers of the models in this page: [{p: of each class, or null; raw: numbers}].
const computed = (x) => models.map((model) => {
  const raw = Array.from(model.predict(x));
  return { p: probabilities(model.objective, raw), raw, cut: model.cut };
});

// Answers of the server, in the same form; and its terms of the line.
async function asked(body, signal) {
  const answer = await fetch("try", {
    method: "POST", signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "same-origin",
  });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const told = content.error ?? content.detail ?? content.message;
    throw Object.assign(new Error(typeof told === "string" ? told : `the server answered ${answer.status}`), {
      wait: answer.status === 503 ? 1000 * (Number(answer.headers.get("Retry-After")) || 1) : 0,
    });
  }
  const found = new Map(content.models.map((each) => [each.name, each]));
  return {
    answers: models.map(({ name, cut }) => {
      const each = found.get(name);
      if (!each) return null;
      const numbers = [each.prediction].flat();
      return { p: each.probabilities && schema.classes.map((label) => each.probabilities[label] ?? 0), raw: numbers, cut };
    }),
    terms: content.terms && content.terms.map(({ name, terms: found_ }) => ({ name, terms: outputs(found_) })),
    notes: [...new Set(content.models.flatMap((each) => each.notes || []))],
  };
}

// Terms by the names of outputs, in the order of the classes or targets.
function outputs(found) {
  const names = schema.classes.length ? schema.classes : schema.targets;
  const all = Object.values(found);
  return all.length === names.length ? names.map((name, i) => found[name] ?? all[i]) : all;
}

let latest = 0, controller = null;

const ask = soon(PATIENCE, async (example) => {
  latest += 1;
  const mine = latest;
  if (controller) controller.abort();
  controller = new AbortController();
  try {
    const found = await asked(example.body, controller.signal);
    if (mine === latest) show(example, found.answers, found.terms, found.notes);
  } catch (error) {
    if (mine !== latest || error.name === "AbortError") return;
    if (error.wait) setTimeout(() => { if (mine === latest) ask(example); }, error.wait);
    const lost = error instanceof TypeError;
    problem(error.wait ? "The server is busy; it is asked again in a moment." : lost ? "The server does not answer: does it still run?" : `${error.message}`);
  }
});

function changed(example) {
  latest += 1; // an answer on its way is too late
  const wrong = example.wrong && [...example.wrong][0];
  if (wrong) {
    problem(`${visible(wrong[0])}: ${wrong[1]}`);
    return;
  }
  if (!example.x) {
    problem("");
    empty();
  } else if (facts.served) {
    ask(example);
  } else {
    const answers = computed(example.x);
    const found = line && schema.example === "row" ? terms(line, schema, example.x, columnNames) : null;
    show(example, answers, found, []);
  }
}

const columnNames = schema.example === "row" && !schema.fields.length ? columnsOf().map((column) => column.name) : [];

// ---- what is shown ------------------------------------------------------------------------------------

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
  $("answer").classList.toggle("stale", Boolean(text));
}

const cards = models.map((model) => {
  const says = el("p", { class: "says" }, "–"), bars = el("ul", { class: "bars" });
  const test = headline(model.test);
  const chosen = model.chosen && models.length > 1 ? el("span", { class: "chosen" }, "chosen") : null;
  const node = el("article", { class: "card" }, el("h3", {}, visible(model.title), " ", chosen), says, bars,
    test ? el("p", { class: "quiet" }, `${test} on ${model.test.by === "folds" ? `${plural(model.test.rows ?? 0, "row")} by folds` : plural(model.test.rows ?? 0, "test row")}`) : null);
  node.style.setProperty("--own", model.color);
  return { node, says, bars, rows: [] };
});
$("cards").append(...cards.map((card) => card.node));

function empty() {
  for (const card of cards) {
    card.says.replaceChildren("–");
    fill(card, schema.classes.length && schema.classes.length <= FEW ? schema.classes.map((label) => [label, 0, ""]) : []);
  }
  $("notes").replaceChildren();
  $("why").hidden = true;
  $("brief").textContent = "";
}

// Bars of a card: [label, share, text] each. Rows stay where they are, so that they move.
function fill(card, rows) {
  while (card.rows.length < rows.length) {
    const label = el("span", { class: "name", dir: "auto" }), bar = el("i"), text = el("b");
    const node = el("li", {}, label, el("span", { class: "track", "aria-hidden": true }, bar), text);
    card.rows.push({ node, label, bar, text });
    card.bars.append(node);
  }
  for (const extra of card.rows.splice(rows.length)) extra.node.remove();
  const top = Math.max(...rows.map((row) => row[1]));
  rows.forEach(([label, share, text], i) => {
    const row = card.rows[i];
    row.label.textContent = row.label.title = visible(label);
    row.bar.style.width = `${100 * share}%`;
    row.text.textContent = text;
    row.node.classList.toggle("best", share === top && share > 0);
  });
}

const best = (p) => p.indexOf(Math.max(...p));

// A model's answer in words: what is read out.
function words(model, answer) {
  if (!answer) return "";
  if (answer.p) return `${visible(schema.classes[called(answer)])}, ${likely(answer.p[called(answer)])}`;
  return schema.targets.map((target, i) => `${visible(target)} ${figure(answer.raw[i])}`).join(", ");
}

function showCard(card, answer) {
  if (!answer) {
    card.says.replaceChildren("–");
    fill(card, []);
  } else if (answer.p) {
    const top = called(answer), { classes } = schema;
    card.says.replaceChildren(named("span", classes[top]), " ", el("small", {}, likely(answer.p[top])));
    if (classes.length <= FEW) {
      fill(card, classes.map((label, i) => [label, answer.p[i], likely(answer.p[i])]));
      return;
    }
    const order = Array.from(classes.keys()).sort((a, b) => answer.p[b] - answer.p[a] || a - b).slice(0, TOP);
    const rest = Math.max(0, 1 - order.reduce((sum, i) => sum + answer.p[i], 0));
    fill(card, order.map((i) => [classes[i], answer.p[i], likely(answer.p[i])]));
    const others = el("li", { class: "others" }, `${(classes.length - TOP).toLocaleString("en")} others: ${likely(rest)}`);
    card.bars.querySelector(".others")?.remove();
    card.bars.append(others);
  } else if (schema.targets.length === 1) {
    card.says.replaceChildren(figure(answer.raw[0]), " ", named("small", schema.targets[0]));
  } else {
    card.says.replaceChildren(el("span", { class: "several" }, schema.targets.map((target, i) => [
      named("small", target), el("span", { class: "n" }, figure(answer.raw[i]))])));
  }
}

const announce = soon(QUIET, (text) => { $("live").textContent = text; });

function show(example, answers, found, notes) {
  problem("");
  models.forEach((model, i) => showCard(cards[i], answers[i]));
  const said = [...new Set(notes)].filter((note) => !example.notes.includes(note));
  $("notes").replaceChildren(...said.map((note) => el("li", {}, visible(note))));
  const all = models.map((model, i) => `${visible(model.title)}: ${words(model, answers[i])}`);
  announce(all.join("; "));
  $("brief").textContent = `${schema.classes.length ? `${visible(schema.targets[0])}: ` : ""}${words(models[0], answers[0])}`;
  if (line) why(example, answers[models.indexOf(line)], found);
}

// ---- what drives the answer of the line -----------------------------------------------------------------

// With several targets one is chosen.
const target = $("why-target");
let again = () => {};
target.hidden = schema.classes.length > 0 || schema.targets.length < 2;
target.append(...schema.targets.map((name, i) => el("option", { value: i, dir: "auto" }, visible(name))));
target.addEventListener("change", () => again());

function why(example, answer, found) {
  const place = $("why");
  place.hidden = !answer || (schema.example === "row" && !found);
  if (place.hidden) return;
  const { classes, targets } = schema;
  const output = classes.length > 2 ? best(answer.p) : classes.length ? 1 : Number(target.value || 0);
  again = () => why(example, answer, found);
  const label = classes.length ? `${visible(targets[0])} = ${visible(classes[output])}` : visible(targets[output]);
  if (schema.example === "picture") pixels(example.x, answer, output, label);
  else columns(example, answer, found, output, label);
}

// How much more a column adds to one output than, with several classes, to the mean of all.
const beyond = (values, output) => {
  if (schema.classes.length <= 2) return values[Math.min(output, values.length - 1)];
  return values[output] - values.reduce((a, b) => a + b, 0) / values.length;
};

function columns(example, answer, found, output, label) {
  const { classes } = schema;
  const each = found.map(({ name, terms: values }) => [name, beyond(values, output)]);
  each.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const some = each.filter((term) => term[1] !== 0);
  const largest = some.slice(0, LARGEST_TERMS), rest = some.slice(LARGEST_TERMS);
  const rows = largest.map(([name, value]) => [[named("span", name), " = ", named("span", example.value(name))], value]);
  if (rest.length) rows.push([[`${plural(rest.length, "other column")}`], rest.reduce((sum, term) => sum + term[1], 0)]);
  let sum = "";
  if (line.tensors && !facts.served) {
    const start = beyond(Array.from(line.tensors.get("linear.bias")), output);
    rows.push([["the constant"], start, true]);
    const total = start + each.reduce((a, term) => a + term[1], 0);
    sum = classes.length === 2 ? `Together ${signed(total)}, a probability of ${likely(sigmoid(total))}.`
      : classes.length ? `Together ${signed(total)}.` : `Together ${figure(total)}.`;
  }
  const most = Math.max(...rows.map((row) => (row[2] ? 0 : Math.abs(row[1]))), 1e-300);
  $("why-text").textContent = classes.length
    ? `What each column adds to the log-odds of ${label}${classes.length > 2 ? ", beyond the mean of all classes" : ""}, the largest first: to the right for it, to the left against it. ${sum}`
    : `What each column adds to ${visible(schema.targets[output])}, in its unit, the largest first. ${sum}`;
  $("why-body").replaceChildren(el("ul", { class: "terms" }, rows.map(([what, value, bare]) => {
    const bar = el("i", { class: value < 0 ? "against" : "for" });
    bar.style.width = `${(50 * Math.abs(value)) / most}%`;
    const track = bare ? el("span", { class: "bare" }) : el("span", { class: "track", "aria-hidden": true }, bar);
    return el("li", {}, el("span", { class: "what" }, what), track, el("b", {}, signed(value)));
  })));
}

// A map of weight times pixel, blue for the class and orange against it.
function pixels(x, answer, output, label) {
  if (!line.tensors) {
    $("why").hidden = true;
    return;
  }
  const [, height, width] = schema.shape, { classes, targets } = schema;
  let values = pixelTerms(line, schema, x, classes.length === 2 ? 0 : output);
  if (classes.length === 2 && called(answer) === 0) {
    values = values.map((value) => -value);
    label = `${visible(targets[0])} = ${visible(classes[0])}`;
  }
  const most = values.reduce((a, value) => Math.max(a, Math.abs(value)), 1e-300);
  const canvas = el("canvas", { class: "seen map", width, height, role: "img", "aria-label": `Which pixels speak for ${label}, and which against it` });
  const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
  const colours = { for: [22, 150, 254], against: [232, 110, 10] };
  values.forEach((value, i) => {
    image.data.set([...(value < 0 ? colours.against : colours.for), 255 * Math.sqrt(Math.abs(value) / most)], 4 * i);
  });
  pen.putImageData(image, 0, 0);
  canvas.style.aspectRatio = `${width} / ${height}`;
  const part = (sign) => values.reduce((sum, value) => sum + (Math.sign(value) === sign ? value : 0), 0);
  const ground = schema.ground ? "counted from the ground" : "counted from black";
  $("why-text").textContent = classes.length
    ? `What each pixel adds to the line's log-odds of ${label}, ${ground}${classes.length > 2 ? " and beyond the mean of all classes" : ""}: weight times pixel.`
    : `What each pixel adds to the line's ${label}, ${ground}: weight times pixel.`;
  $("why-body").replaceChildren(el("div", { class: "mapped" }, canvas, el("ul", { class: "key" },
    el("li", {}, el("i", { class: "for" }), `blue speaks for it: ${signed(part(1))}`),
    el("li", {}, el("i", { class: "against" }), `orange against it: ${signed(part(-1))}`))));
}

// ---- begin -----------------------------------------------------------------------------------------------

$("name").textContent = visible(facts.name);
$("about").textContent = [
  facts.data && facts.data !== facts.name ? `learned from ${visible(facts.data)}` : "",
  schema.classes.length ? `predicts ${visible(schema.targets[0])}: ${plural(schema.classes.length, "class").replace("classs", "classes")}`
    : `predicts ${schema.targets.map(visible).join(", ")}`,
].filter(Boolean).join("; ");
$("where").textContent = facts.served ? "Answers come from this server." : "Everything runs in this page: nothing is sent anywhere, and it works offline.";
$("files").replaceChildren(...models.map((model) => el("li", {}, `${visible(model.title)} (${visible(model.name)}): sha256 `, el("code", { title: model.sha256 }, model.sha256.slice(0, 12)))));
document.body.classList.add(schema.example);
new IntersectionObserver(([seen]) => document.body.classList.toggle("answered", seen.isIntersecting)).observe($("cards"));
if (schema.example === "picture") pictures($("input"), changed);
else form($("input"), changed);
