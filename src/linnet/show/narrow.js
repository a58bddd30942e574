"use strict";
// Figures where there is little room, of a report and of the live page.
const NARROW = 620; // pixels

// Panels beside each other come one below the other; returns whether there were any.
function stack(layout) {
  const ends = Object.keys(layout).filter((key) => key.startsWith("xaxis")).map((key) => key.slice(5));
  if (ends.length < 2 || (!layout.meta?.grid && ends.some((end) => layout[`yaxis${end}`].domain))) return false;
  layout.height = 120 + 230 * ends.length;
  ends.forEach((end, place) => {
    layout[`xaxis${end}`].domain = [0, 1];
    const top = 1 - place / (ends.length - 0.2);
    layout[`yaxis${end}`].domain = [Math.max(0, top - 0.8 / (ends.length - 0.2)), top];
  });
  return true;
}

// The halves of a sheet come one below the other; returns the figure's data.
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
    return { ...trace, x: places.map(([x]) => x), y: places.map(([, y]) => y) };
  });
}
