"use strict";
// Where pictures come from: a drawing, by mouse, finger, pen or keys, and a photo.

const INK_ROOM = 40;        // the keys move the pen by one of so many parts of the drawing area
const NEAR = 0.005;         // points nearer than this share of the area are one
const MOST_PIXELS = 1024;   // a larger photo is first made as small as this
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Fills `place`; calls `changed` with {x, body, notes}, or with x null where there is no picture.
function pictures(place, changed) {
  const [channels, height, width] = schema.shape;
  const drawn = channels === 1 && schema.ground !== null; // else nobody knows how bright ink and ground are
  const state = { strokes: [], photo: null, shown: null, active: null, at: [0.5, 0.5], down: false };

  const what = schema.classes.length && schema.classes.length <= 12 ? `: ${schema.classes.map(visible).join(", ")}` : "";
  const canvas = el("canvas", {
    class: "board", id: "board", tabindex: drawn ? 0 : null, role: drawn ? "application" : "img",
    "aria-roledescription": drawn ? "drawing area" : null, "aria-describedby": "how",
    "aria-label": drawn ? "Draw here" : "The chosen photo",
  });
  const hint = el("p", { class: "hint", "aria-hidden": true }, drawn ? "Draw here" : "Drop a photo here");
  const box = el("div", { class: "box" }, canvas, hint);
  const seen = el("canvas", { class: "seen", id: "seen", width, height, role: "img", "aria-label": "What the models see" });
  const file = el("input", { type: "file", id: "file", accept: "image/*", class: "unseen", tabindex: -1, "aria-hidden": true });
  const undo = el("button", { type: "button", id: "undo" }, "Undo");
  const clear = el("button", { type: "button", id: "clear" }, "Clear");
  const choose = el("button", { type: "button", id: "choose" }, "Choose a photo");
  const notes = el("ul", { class: "notes", id: "picture-notes" });
  place.append(
    el("h2", { id: "input-head" }, drawn ? `Draw one${what}` : "Give a photo"),
    el("p", { class: "quiet", id: "how" }, drawn
      ? "Or drop a photo here. Keys: the arrows move the pen, the space bar puts it down and lifts it, Backspace takes a line back."
      : `Drop a photo on the field, paste one, or choose a file${what ? `; the models know${what.slice(1)}` : ""}.`),
    el("div", { class: "drawing" }, box, el("figure", {}, seen, el("figcaption", { class: "quiet" },
      `What the models see: ${width} x ${height} pixels`))),
    el("div", { class: "buttons" }, drawn ? undo : null, clear, choose, file), notes);

  const ink = () => getComputedStyle(document.body).color;

  // The drawing area as it is seen: the lines or the photo.
  function paint() {
    const size = canvas.getBoundingClientRect(), dense = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(size.width * dense));
    canvas.height = Math.max(1, Math.round(size.height * dense));
    const pen = canvas.getContext("2d");
    if (state.shown) {
      const scale = Math.min(canvas.width / state.shown.width, canvas.height / state.shown.height);
      const [w, h] = [scale * state.shown.width, scale * state.shown.height];
      pen.imageSmoothingEnabled = scale < 2;
      pen.drawImage(state.shown, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
    }
    const all = state.active ? [...state.strokes, state.active] : state.strokes;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = pen.fillStyle = ink();
    pen.lineWidth = drawn ? (penOf(laidOut(schema).side) * canvas.width) / width : 1;
    for (const points of all) {
      pen.beginPath();
      points.forEach(([x, y], i) => (i ? pen.lineTo(x * canvas.width, y * canvas.height) : pen.moveTo(x * canvas.width, y * canvas.height)));
      if (points.length === 1) pen.lineTo(points[0][0] * canvas.width, points[0][1] * canvas.height + 0.01);
      pen.stroke();
    }
    if (state.keys) { // a cross where the pen of the keyboard is
      const [x, y] = [state.at[0] * canvas.width, state.at[1] * canvas.height], arm = 9 * dense;
      pen.lineWidth = 2 * dense;
      pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
      pen.beginPath();
      for (const [dx, dy] of [[arm, 0], [0, arm]]) { pen.moveTo(x - dx, y - dy); pen.lineTo(x + dx, y + dy); }
      pen.stroke();
    }
    hint.hidden = all.length > 0 || state.shown !== null;
    undo.disabled = !state.strokes.length;
    clear.disabled = !all.length && !state.shown;
  }

  // What the models see, enlarged.
  function mirror(x) {
    const pen = seen.getContext("2d");
    pen.clearRect(0, 0, width, height);
    if (!x) return;
    const image = pen.createImageData(width, height), size = height * width;
    const most = schema.ground ? Math.max(...schema.ground, 1) : 255;
    const bright = most < 128 ? 255 / most : 1; // pictures of 0 to 16, as scikit-learn's digits
    for (let i = 0; i < size; i += 1) {
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = bright * x[(channels === 3 ? c : 0) * size + i];
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }

  function tell() {
    const all = state.active ? [...state.strokes, state.active] : state.strokes;
    const found = state.photo ? fromPhoto(state.photo, schema) : all.length ? fromStrokes(all, schema) : { x: null, notes: [] };
    paint();
    mirror(found.x);
    notes.replaceChildren(...found.notes.map((note) => el("li", {}, note)), ...(found.told ? [el("li", { class: "quiet" }, found.told)] : []));
    changed({ x: found.x, body: found.x && nested(found.x), notes: found.notes });
  }

  const nested = (x) => Array.from({ length: channels }, (_, c) => Array.from({ length: height }, (_, y) =>
    Array.from(x.subarray((c * height + y) * width, (c * height + y + 1) * width))));

  let asked = false;
  const next = () => { // once for each frame, however many points came
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; tell(); });
  };

  function without() {
    Object.assign(state, { strokes: [], photo: null, shown: null, active: null, down: false });
    file.value = "";
    notes.replaceChildren();
    next();
  }

  async function take(given) {
    if (!given) return;
    try {
      const image = await createImageBitmap(given);
      const most = Math.min(1, MOST_PIXELS / Math.max(image.width, image.height));
      const page = el("canvas", { width: Math.max(1, Math.round(most * image.width)), height: Math.max(1, Math.round(most * image.height)) });
      const pen = page.getContext("2d", { willReadFrequently: true });
      pen.imageSmoothingQuality = "high";
      pen.drawImage(image, 0, 0, page.width, page.height);
      const { data } = pen.getImageData(0, 0, page.width, page.height);
      Object.assign(state, { strokes: [], active: null, shown: page, photo: { data, width: page.width, height: page.height } });
      tell();
    } catch {
      notes.replaceChildren(el("li", { class: "problem" }, "The browser cannot read this file as a picture: give a PNG or a JPEG."));
    }
  }

  if (drawn) {
    const spot = (event) => {
      const size = canvas.getBoundingClientRect();
      return [(event.clientX - size.left) / size.width, (event.clientY - size.top) / size.height];
    };
    const lift = () => {
      if (!state.active) return;
      state.strokes.push(state.active);
      state.active = null;
      next();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || state.active) return;
      event.preventDefault();
      canvas.classList.add("pointed"); // no outline where one sees what one does
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      if (state.photo) Object.assign(state, { photo: null, shown: null });
      Object.assign(state, { active: [spot(event)], pointer: event.pointerId, keys: false, down: false });
      next();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!state.active || event.pointerId !== state.pointer) return;
      const several = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of several.length ? several : [event]) {
        const [x, y] = spot(each), [before, above] = state.active.at(-1);
        if (Math.hypot(x - before, y - above) > NEAR) state.active.push([x, y]);
      }
      next();
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, lift);
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (KEYS[event.key]) {
        const [dx, dy] = KEYS[event.key];
        state.at = [clamp(state.at[0] + dx / INK_ROOM, 0, 1), clamp(state.at[1] + dy / INK_ROOM, 0, 1)];
        if (state.down && state.active) state.active.push(state.at);
      } else if (event.key === " ") {
        state.down = !state.down;
        if (state.down) Object.assign(state, { photo: null, shown: null, active: [state.at] });
        else lift();
      } else if (event.key === "Backspace") {
        state.strokes.pop();
      } else return;
      state.keys = true;
      canvas.classList.remove("pointed");
      event.preventDefault();
      next();
    });
    canvas.addEventListener("blur", () => {
      state.keys = state.down = false;
      canvas.classList.remove("pointed");
      lift();
      paint();
    });
    undo.addEventListener("click", () => { state.strokes.pop(); next(); });
  }
  clear.addEventListener("click", without);
  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => take(file.files[0]));
  document.addEventListener("dragover", (event) => { event.preventDefault(); box.classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) box.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    box.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
  new ResizeObserver(paint).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  canvas.style.aspectRatio = `${width} / ${height}`;
  seen.style.aspectRatio = `${width} / ${height}`;
  tell();
}
