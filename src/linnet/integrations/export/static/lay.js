"use strict";
// From a drawing or a photo to a picture as the training pictures are laid out: its size, the
// brightness of ground and ink, how large the ink is and what lies in the middle.

const PEN = 0.125;     // the thickness of a drawn line, as a share of the side of the box around the ink
const THINNEST = 1.6;  // pixels: no drawn line is thinner, in small pictures
const LARGEST = 4;     // a drawing is made at most this many times as large as it was drawn
const LOOKED_AT = 256; // pixels of the larger side of a photo in which ink is looked for
const FAINT = 24;      // of 255: less contrast than this is no ink
const FULL = 0.6;      // this share of the pixels of ink in a photo is less than full ink
const RUN = 1.2;       // lines of ink are made this many pens thick, as rows of pixels cross them
const SPECK = 0.05;    // spots smaller than this share of the largest one are left out
const FAR = 2 / 3;     // from this share of the way from ground to ink on, an edge is as the ink

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Half a number goes to the even one, as Python rounds.
function rounded(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

// The box that the ink fills: that of the training pictures, or five sevenths where it is not known.
function laidOut(schema) {
  const [, height, width] = schema.shape;
  const known = schema.layout;
  return known || { side: Math.max(1, Math.round((5 / 7) * Math.min(height, width))), centre: "box" };
}

// The thickness of a line in pixels.
const penOf = (side) => Math.max(PEN * side, THINNEST);

// ---- drawings --------------------------------------------------------------------------------------

// How much of each pixel lines cover, 0 to 1: points in pixels, lines of the radius `r` with round
// ends. Edges are grey, as those of pictures that were made smaller.
function covered(strokes, r, height, width) {
  const out = new Float64Array(height * width);
  for (const points of strokes) {
    for (let i = 0; i < points.length; i += 1) {
      const [ax, ay] = points[Math.max(0, i - 1)], [bx, by] = points[i];
      const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
      const left = clamp(Math.floor(Math.min(ax, bx) - r - 1), 0, width), right = clamp(Math.ceil(Math.max(ax, bx) + r + 1), 0, width);
      const top = clamp(Math.floor(Math.min(ay, by) - r - 1), 0, height), end = clamp(Math.ceil(Math.max(ay, by) + r + 1), 0, height);
      for (let y = top; y < end; y += 1) {
        for (let x = left; x < right; x += 1) {
          const px = x + 0.5 - ax, py = y + 0.5 - ay;
          const along = length ? clamp((px * dx + py * dy) / length, 0, 1) : 0;
          const distance = Math.hypot(px - along * dx, py - along * dy);
          const share = clamp(r - distance + 0.5, 0, 1);
          if (share > out[y * width + x]) out[y * width + x] = share;
        }
      }
    }
  }
  return out;
}

// The centre of mass of ink, in pixels from the upper left corner.
function massOf(ink, height, width) {
  let sum = 0, x = 0, y = 0;
  ink.forEach((value, i) => {
    sum += value;
    x += value * ((i % width) + 0.5);
    y += value * (Math.floor(i / width) + 0.5);
  });
  return sum ? [x / sum, y / sum] : [width / 2, height / 2];
}

// A drawing as a picture: {x, notes}. Strokes are lists of points [x, y] from 0 to 1. They are scaled as
// lines, so that the pen is as thick in a small drawing as in a large one.
function fromStrokes(strokes, schema) {
  const [channels, height, width] = schema.shape;
  const { side, centre } = laidOut(schema);
  const r = penOf(side) / 2, all = strokes.flat();
  let ink = new Float64Array(height * width);
  if (all.length) {
    const xs = all.map((point) => point[0]), ys = all.map((point) => point[1]);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const extent = Math.max(right - left, bottom - top);
    const scale = Math.min((side - 2 * r) / Math.max(extent, 1e-9), LARGEST * Math.min(height, width));
    let dx = width / 2 - (scale * (left + right)) / 2, dy = height / 2 - (scale * (top + bottom)) / 2;
    const draw = () => covered(strokes.map((points) => points.map(([x, y]) => [scale * x + dx, scale * y + dy])), r, height, width);
    ink = draw();
    if (centre === "mass") {
      const [x, y] = massOf(ink, height, width);
      dx += width / 2 - x;
      dy += height / 2 - y;
      ink = draw();
    }
  }
  return { x: shaded(ink, schema, channels), notes: [] };
}

// Ink of 0 to 1 as pixels from the ground to the ink of the training pictures.
function shaded(ink, schema, channels) {
  const [ground, opposite] = schema.ground;
  const x = new Uint8Array(channels * ink.length);
  for (let i = 0; i < x.length; i += 1) x[i] = Math.round(ground + (opposite - ground) * ink[i % ink.length]);
  return x;
}

// ---- pictures in files ---------------------------------------------------------------------------------

// The weights of Pillow's bilinear filter: for each new place the first old one and the weights from it
// on. On the way down it takes the mean over all pixels that become one.
function filter(before, after) {
  const ratio = before / after, scale = Math.max(1, ratio);
  return Array.from({ length: after }, (_, place) => {
    const centre = (place + 0.5) * ratio;
    const first = Math.max(0, Math.floor(centre - scale + 0.5));
    const end = Math.min(before, Math.floor(centre + scale + 0.5));
    const weights = [];
    for (let i = first; i < end; i += 1) weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) / scale)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((weight) => weight / sum)];
  });
}

// A layer of pixels of another size.
function resized(layer, height, width, tall, wide) {
  const half = new Uint8ClampedArray(height * wide), out = new Uint8ClampedArray(tall * wide);
  filter(width, wide).forEach(([first, weights], x) => {
    for (let y = 0; y < height; y += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i] * layer[y * width + first + i];
      half[y * wide + x] = Math.floor(sum + 0.5);
    }
  });
  filter(height, tall).forEach(([first, weights], y) => {
    for (let x = 0; x < wide; x += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i] * half[(first + i) * wide + x];
      out[y * wide + x] = Math.floor(sum + 0.5);
    }
  });
  return out;
}

// Layers of one size scaled to another, with their proportions: "pad" until all is inside, with the edges
// repeated around it, "crop" until it is filled, and the rest is cut off.
function fitted(layers, [height, width], [tall, wide], how) {
  if (height === tall && width === wide) return layers;
  const ratios = [tall / height, wide / width];
  const ratio = how === "pad" ? Math.min(...ratios) : Math.max(...ratios);
  const rows = Math.max(1, rounded(ratio * height)), columns = Math.max(1, rounded(ratio * width));
  const top = Math.floor((tall - rows) / 2), left = Math.floor((wide - columns) / 2);
  return layers.map((layer) => {
    const scaled = resized(layer, height, width, rows, columns), out = new Uint8Array(tall * wide);
    for (let y = 0; y < tall; y += 1) {
      for (let x = 0; x < wide; x += 1) {
        out[y * wide + x] = scaled[clamp(y - top, 0, rows - 1) * columns + clamp(x - left, 0, columns - 1)];
      }
    }
    return out;
  });
}

const grey = (r, g, b) => (19595 * r + 38470 * g + 7471 * b + 32768) >> 16; // as Pillow does

// The layers of a photo {data: red, green, blue, alpha of each pixel, height, width}: one of grey or three
// of colour. What is drawn on a transparent ground is laid on white, or on black if it is light itself.
function layersOf(photo, channels) {
  const { data } = photo, size = photo.height * photo.width;
  let light = 0, visible = 0;
  for (let i = 0; i < size; i += 1) {
    light += grey(data[4 * i], data[4 * i + 1], data[4 * i + 2]) * data[4 * i + 3];
    visible += data[4 * i + 3];
  }
  const below = visible && light >= 192 * visible ? 0 : 255;
  const colours = [0, 1, 2].map((c) => {
    const layer = new Uint8ClampedArray(size);
    for (let i = 0; i < size; i += 1) {
      const share = data[4 * i + 3] / 255;
      layer[i] = share * data[4 * i + c] + (1 - share) * below;
    }
    return layer;
  });
  if (channels === 3) return colours;
  const [r, g, b] = colours;
  return [r.map((value, i) => grey(value, g[i], b[i]))];
}

// The brightness of the outermost pixels of each side: their median.
function edgeOf(layers, height, width) {
  const found = [];
  const add = (i) => found.push(layers.reduce((sum, layer) => sum + layer[i], 0) / layers.length);
  for (let x = 0; x < width; x += 1) { add(x); add((height - 1) * width + x); }
  for (let y = 0; y < height; y += 1) { add(y * width); add(y * width + width - 1); }
  return median(found);
}

const inverted = (edge, [ground, opposite]) => (edge - ground) / (opposite - ground) >= FAR;

// A photo as a picture: {x, notes, told}; `told` says how it was laid out, notes what may be wrong.
function fromPhoto(photo, schema) {
  const [channels, height, width] = schema.shape;
  const layers = layersOf(photo, channels);
  const same = photo.height === height && photo.width === width;
  const lit = schema.ground ? schema.ground[0] < schema.ground[1] : false;
  const [own, other] = lit ? ["dark", "light"] : ["light", "dark"];
  if (schema.ground && channels === 1 && !same) return fromInk(photo, layers[0], schema, own, other);
  const notes = [];
  let told = "";
  const how = schema.fit || "crop";
  const found = fitted(layers, [photo.height, photo.width], [height, width], how);
  if (!same) {
    const done = how === "pad" ? "its edges repeated around it" : photo.height * width === photo.width * height ? "" : "the sides that do not fit cut off";
    told = `The photo of ${photo.width} x ${photo.height} pixels was scaled to ${width} x ${height}${done ? `, ${done}` : ""}.`;
  }
  const x = new Uint8Array(channels * height * width);
  found.forEach((layer, c) => x.set(layer, c * layer.length));
  if (schema.ground && inverted(edgeOf(found, height, width), schema.ground)) {
    const [ground, opposite] = schema.ground;
    if (channels === 1) {
      x.forEach((value, i) => { x[i] = clamp(ground + opposite - value, 0, 255); });
      notes.push(turnedRound(own, other));
    } else {
      notes.push(`The picture has a ${other} edge, and the training pictures a ${own} one.`);
    }
  }
  return { x, notes, told };
}

const turnedRound = (own, other) =>
  `The photo has ${own === "dark" ? "dark ink on a light ground" : "light ink on a dark ground"}, and the training pictures a ${own} ground: light and dark were turned round.`;

// The ink of a grey photo, laid out as the training pictures are.
function fromInk(photo, layer, schema, own, other) {
  const [channels, height, width] = schema.shape;
  const { side, centre } = laidOut(schema);
  const most = Math.min(1, LOOKED_AT / Math.max(photo.height, photo.width));
  const tall = Math.max(1, Math.round(most * photo.height)), wide = Math.max(1, Math.round(most * photo.width));
  const seen = resized(layer, photo.height, photo.width, tall, wide);
  const found = inkOf(seen, tall, wide);
  const notes = [];
  if (!found) {
    notes.push("There is hardly any ink in this photo: it needs dark lines on a light ground, or light ones on a dark ground.");
    return { x: shaded(new Float64Array(height * width), schema, channels), notes };
  }
  if (found.dark === (own === "dark")) notes.push(turnedRound(own, other));
  const [top, bottom, left, right] = found.box;
  const rows = bottom - top, columns = right - left;
  const scale = side / Math.max(rows, columns);
  const lacking = (RUN * penOf(side)) / scale - found.thickness; // a thin pen would turn grey
  const grown = lacking > 0 ? thicker(found.ink, tall, wide, Math.round(lacking / 2)) : found.ink;
  const more = lacking > 0 ? Math.round(lacking / 2) : 0;
  const begin = [clamp(top - more, 0, tall), clamp(left - more, 0, wide)];
  const box = [clamp(bottom + more, 0, tall) - begin[0], clamp(right + more, 0, wide) - begin[1]];
  const cut = new Uint8ClampedArray(box[0] * box[1]);
  for (let y = 0; y < box[0]; y += 1) {
    for (let x = 0; x < box[1]; x += 1) cut[y * box[1] + x] = 255 * grown[(begin[0] + y) * wide + begin[1] + x];
  }
  const ratio = side / Math.max(...box);
  const size = box.map((each) => Math.max(1, Math.round(ratio * each)));
  const small = resized(cut, ...box, ...size);
  const [x, y] = centre === "mass" ? massOf(small, ...size) : [size[1] / 2, size[0] / 2];
  const [dx, dy] = [Math.round(width / 2 - x), Math.round(height / 2 - y)];
  const ink = new Float64Array(height * width);
  small.forEach((value, i) => {
    const column = (i % size[1]) + dx, row = Math.floor(i / size[1]) + dy;
    if (column >= 0 && column < width && row >= 0 && row < height) ink[row * width + column] = value / 255;
  });
  const told = `The ink was cut out, scaled to ${side} of ${Math.max(height, width)} pixels and ${centre === "mass" ? "its centre of mass" : "its box"} put into the middle.`;
  return { x: shaded(ink, schema, channels), notes, told };
}

// The ink of a grey layer, 0 to 1, freed from shades of the ground and from specks; the box around it [top,
// bottom, left, right], its thickness (the mean run of ink in a row of pixels), and whether it is dark. Null if there is hardly any.
function inkOf(seen, height, width) {
  const ground = edgeOf([seen], height, width);
  const sorted = Uint8Array.from(seen).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const dark = ground - at(0.003) > at(0.997) - ground;
  const contrast = dark ? ground - at(0.003) : at(0.997) - ground;
  if (contrast < FAINT) return null;
  const shades = shadesOf(seen, height, width, (tile) => ((dark ? ground - tile : tile - ground) > 0.4 * contrast ? ground : tile));
  const above = new Float64Array(seen.length); // of dark ink the share of the light that it takes
  for (let i = 0; i < seen.length; i += 1) {
    above[i] = dark ? Math.max(0, (255 * (shades[i] - seen[i])) / Math.max(shades[i], 1)) : Math.max(0, seen[i] - shades[i]);
  }
  const most = above.slice().sort()[Math.floor(0.997 * (above.length - 1))];
  if (most < FAINT) return null;
  const least = threshold(above, most);
  const inked = above.filter((value) => value > least).sort();
  const highest = inked[Math.floor(FULL * inked.length)]; // from here on it is all ink
  const mask = withoutSpecks(Uint8Array.from(above, (value) => (value > least ? 1 : 0)), height, width);
  const box = [height, 0, width, 0];
  let area = 0, edge = 0;
  mask.forEach((inside, i) => {
    if (!inside) return;
    const x = i % width, y = Math.floor(i / width);
    box[0] = Math.min(box[0], y);
    box[1] = Math.max(box[1], y + 1);
    box[2] = Math.min(box[2], x);
    box[3] = Math.max(box[3], x + 1);
    area += 1;
    edge += (x && mask[i - 1] ? 0 : 1) + (x < width - 1 && mask[i + 1] ? 0 : 1);
  });
  const low = least / 2;
  const near = thicker(mask, height, width, 1);
  const ink = above.map((value, i) => (near[i] ? clamp((value - low) / (highest - low), 0, 1) : 0));
  return { ink, box, thickness: Math.max(1, (2 * area) / Math.max(edge, 1)), dark };
}

// The brightness of the ground at each pixel: the median of 4 x 4 tiles, each as `judged` says, and smooth
// between their middles.
function shadesOf(seen, height, width, judged) {
  const tiles = Array.from({ length: 16 }, (_, tile) => {
    const row = tile >> 2, column = tile % 4, values = [];
    for (let y = Math.floor((row * height) / 4); y < ((row + 1) * height) / 4; y += 1) {
      for (let x = Math.floor((column * width) / 4); x < ((column + 1) * width) / 4; x += 1) values.push(seen[y * width + x]);
    }
    return judged(median(values));
  });
  return Float64Array.from(seen, (_, i) => {
    const y = clamp((4 * (Math.floor(i / width) + 0.5)) / height - 0.5, 0, 3), x = clamp((4 * ((i % width) + 0.5)) / width - 0.5, 0, 3);
    const row = Math.min(2, Math.floor(y)), column = Math.min(2, Math.floor(x)), down = y - row, along = x - column;
    const of = (r, c) => tiles[4 * (row + r) + column + c];
    return (1 - down) * ((1 - along) * of(0, 0) + along * of(0, 1)) + down * ((1 - along) * of(1, 0) + along * of(1, 1));
  });
}

// Otsu's threshold between ground and ink: where the two groups differ most.
function threshold(values, highest) {
  const counts = new Float64Array(64);
  for (const value of values) counts[Math.min(63, Math.floor((64 * value) / highest))] += 1;
  let all = 0, sum = 0, below = 0, low = 0, best = 0, found = 0.25;
  counts.forEach((count, i) => { all += count; sum += count * i; });
  for (let i = 0; i < 63; i += 1) {
    below += counts[i];
    low += counts[i] * i;
    if (!below || below === all) continue;
    const apart = low / below - (sum - low) / (all - below);
    const spread = below * (all - below) * apart * apart;
    if (spread > best) [best, found] = [spread, (i + 1) / 64];
  }
  return found * highest;
}

// A mask without its smallest spots.
function withoutSpecks(mask, height, width) {
  const label = new Int32Array(mask.length), sizes = [0];
  mask.forEach((inside, start) => {
    if (!inside || label[start]) return;
    const number = sizes.length, waiting = [start];
    label[start] = number;
    let size = 0;
    while (waiting.length) {
      const i = waiting.pop(), x = i % width;
      size += 1;
      for (const next of [x ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
        if (next >= 0 && next < mask.length && mask[next] && !label[next]) {
          label[next] = number;
          waiting.push(next);
        }
      }
    }
    sizes.push(size);
  });
  const least = SPECK * Math.max(...sizes);
  return mask.map((inside, i) => (inside && sizes[label[i]] >= least ? 1 : 0));
}

// Ink with lines thicker by `r` pixels on each side.
function thicker(ink, height, width, r) {
  if (r < 1) return ink;
  const pass = (from, count, length, place) => {
    const out = from.slice();
    for (let line = 0; line < count; line += 1) {
      for (let i = 0; i < length; i += 1) {
        let most = 0;
        for (let k = Math.max(0, i - r); k <= Math.min(length - 1, i + r); k += 1) most = Math.max(most, from[place(line, k)]);
        out[place(line, i)] = most;
      }
    }
    return out;
  };
  const across = pass(ink, height, width, (y, x) => y * width + x);
  return pass(across, width, height, (x, y) => y * width + x);
}
