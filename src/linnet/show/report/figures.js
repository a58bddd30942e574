"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const figures = JSON.parse(document.getElementById("figures").textContent);

// Panels beside each other: where there is little room one above the other.
function stack(figure) {
  const {data, layout} = figure;
  const axes = Object.keys(layout).filter((key) => key.startsWith("xaxis"));
  const ends = axes.map((key) => key.slice(5));
  if (ends.length < 2 || (!layout.meta?.grid && ends.some((end) => layout["yaxis" + end].domain))) return;
  layout.height = 120 + 230 * ends.length;
  ends.forEach((end, place) => {
    layout["xaxis" + end].domain = [0, 1];
    const top = 1 - place / (ends.length - 0.2);
    layout["yaxis" + end].domain = [Math.max(0, top - 0.8 / (ends.length - 0.2)), top];
  });
  for (const trace of data) if (trace.mode === "markers+text") trace.mode = "markers";
}

// A sheet in two halves: where there is little room one below the other.
function below(data, layout) {
  if (!layout.meta?.halves) return data;
  const [wide, right, tall] = layout.meta.halves;
  const moved = (x, y) => (x >= right ? [x - right, y - tall] : [x, y]);
  for (const one of [...layout.images, ...layout.annotations.filter((note) => note.xref === "x")]) {
    [one.x, one.y] = moved(one.x, one.y);
  }
  layout.height += (layout.height - layout.margin.t - layout.margin.b) * (1 + right / wide);
  layout.xaxis.range = [0, wide];
  layout.yaxis.range = [-2 * tall, 0];
  return data.map((trace) => {
    const places = trace.x.map((x, place) => moved(x, trace.y[place]));
    return {...trace, x: places.map(([x]) => x), y: places.map(([, y]) => y)};
  });
}

function draw() {
  const ink = dark.matches ? "#dddddd" : "#222222";
  figures.forEach((plain, number) => {
    const figure = structuredClone(plain);
    const layout = figure.layout;
    const place = document.getElementById("figure" + number);
    const {xaxis, yaxis, margin} = layout;
    layout.font = {color: ink};
    for (const trace of figure.data) if (trace.texttemplate && trace.textfont) trace.textfont.color = ink;
    if (place.clientWidth < 620) { stack(figure); figure.data = below(figure.data, layout); }
    if (!layout.xaxis2 && yaxis && yaxis.scaleanchor && xaxis.range && yaxis.range) {
      const wide = Math.abs(xaxis.range[1] - xaxis.range[0]);
      const tall = Math.abs(yaxis.range[1] - yaxis.range[0]);
      const needed = (place.clientWidth - margin.l - margin.r) * tall / wide;
      layout.height = Math.min(layout.height, needed + margin.t + margin.b);
    }
    Plotly.react(place, figure.data, layout, figure.config).then(() => reachable(place));
  });
}

// The buttons of a figure that save and reset it, for who has no mouse.
function reachable(place) {
  for (const button of place.querySelectorAll(".modebar-btn")) {
    const title = button.getAttribute("data-title") || "";
    if (!/download|reset/i.test(title)) continue;
    for (const [key, value] of [["tabindex", 0], ["role", "button"], ["aria-label", title]]) button.setAttribute(key, value);
  }
}
document.addEventListener("keydown", (event) => {
  const button = event.target.closest(".modebar-btn");
  if (!button || (event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  button.dispatchEvent(new MouseEvent("click", {bubbles: true}));
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-change]");
  if (!button) return;
  const {figure, change} = button.dataset;
  Plotly.relayout(document.getElementById("figure" + figure), structuredClone(figures[figure].changes[change]));
});
dark.addEventListener("change", draw);
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
draw();
