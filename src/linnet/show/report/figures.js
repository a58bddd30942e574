"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const figures = JSON.parse(document.getElementById("figures").textContent);

function draw() {
  const ink = dark.matches ? "#dddddd" : "#222222";
  figures.forEach((plain, number) => {
    const figure = structuredClone(plain);
    const layout = figure.layout;
    const place = document.getElementById("figure" + number);
    const {xaxis, yaxis, margin} = layout;
    layout.font = {color: ink};
    for (const trace of figure.data) if (trace.texttemplate && trace.textfont) trace.textfont.color = ink;
    if (place.clientWidth < NARROW) {
      if (stack(layout)) for (const trace of figure.data) if (trace.mode === "markers+text") trace.mode = "markers";
      figure.data = below(figure.data, layout);
    }
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
