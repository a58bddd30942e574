"use strict";
// The networks of linnet in plain loops, and the encoding of a row of a table: the same numbers as
// the Python package computes, with sums in double precision.

// ---- the numbers of a model ----------------------------------------------------------------------

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%/()*+-;,=.?@^_`{|}~";

// Five letters of base 85 are four bytes.
function unpacked(text) {
  const digits = new Uint8Array(128);
  for (let i = 0; i < DIGITS.length; i += 1) digits[DIGITS.charCodeAt(i)] = i;
  const words = text.length / 5;
  const view = new DataView(new ArrayBuffer(4 * words));
  for (let i = 0, at = 0; i < words; i += 1, at += 5) {
    let word = 0;
    for (let k = 0; k < 5; k += 1) word = 85 * word + digits[text.charCodeAt(at + k)];
    view.setUint32(4 * i, word);
  }
  return view.buffer;
}

// The tensors by name: `listed` has their names and sizes in the order in which they are packed.
function tensorsOf(listed, dtype, text) {
  const numbers = new (dtype === "float64" ? Float64Array : Float32Array)(unpacked(text));
  const found = new Map();
  let at = 0;
  for (const [name, size] of listed) {
    found.set(name, numbers.subarray(at, at + size));
    at += size;
  }
  return found;
}

// ---- activations ---------------------------------------------------------------------------------

const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

// The error function: a series of positive terms, which is exact to the last digits.
function erf(x) {
  if (Math.abs(x) >= 6) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const SELU = [1.6732632423543772848170429916717, 1.0507009873554804934193349852946];
const ACTIVATIONS = {
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  tanh: Math.tanh,
  sigmoid,
  selu: (x) => SELU[1] * (x > 0 ? x : SELU[0] * Math.expm1(x)),
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  silu: (x) => x * sigmoid(x),
  softplus: (x) => (x > 20 ? x : Math.log1p(Math.exp(x))),
  identity: (x) => x,
};

// ---- layers: each is a function from an array to an array -------------------------------------------

// The parts of one network: its tensors under a prefix, its dtype, and the dtype of its inputs.
class Part {
  constructor(tensors, dtype, inputs, prefix = "") {
    this.tensors = tensors;
    this.dtype = dtype;
    this.inputs = inputs;
    this.prefix = prefix;
    this.round = dtype === "float64" ? (x) => x : Math.fround;
  }

  get(name) {
    const found = this.tensors.get(this.prefix + name);
    if (!found) throw new Error(`the model has no tensor ${this.prefix}${name}`);
    return found;
  }

  within(prefix) {
    return new Part(this.tensors, this.dtype, this.inputs, `${this.prefix}${prefix}.`);
  }

  empty(size) {
    return new (this.dtype === "float64" ? Float64Array : Float32Array)(size);
  }
}

function scaling(part, kind) {
  const { round } = part;
  if (kind === "none") return (x) => part.empty(x.length).map((_, i) => x[i]);
  const shift = part.get("scaling.shift"), factor = part.get("scaling.factor");
  const one = shift.length === 1 ? 0 : 1; // one number for all inputs, or one for each
  const step = part.inputs === "float64" ? (x) => x : round;
  return (x) => {
    const out = part.empty(x.length);
    for (let i = 0; i < x.length; i += 1) out[i] = step(x[i] - shift[one * i]) * factor[one * i];
    return out;
  };
}

function bounds(part) {
  const low = part.get("bounds.low"), high = part.get("bounds.high");
  return (x) => x.map((value, i) => Math.min(Math.max(value, low[i]), high[i]));
}

function linear(part, name, biased = true) {
  const weight = part.get(`${name}.weight`), bias = biased ? part.get(`${name}.bias`) : null;
  return (x) => {
    const inputs = x.length;
    const out = part.empty(weight.length / inputs);
    for (let o = 0, at = 0; o < out.length; o += 1, at += inputs) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < inputs; i += 1) sum += weight[at + i] * x[i];
      out[o] = sum;
    }
    return out;
  };
}

// Batch norm as it is after training, of channels that have the same number of values each.
function norm(part, name) {
  const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
    (each) => part.get(`${name}.${each}`));
  const factor = Float64Array.from(weight, (value, c) => value / Math.sqrt(variance[c] + 1e-5));
  return (x) => {
    const each = x.length / weight.length, out = part.empty(x.length);
    for (let c = 0, i = 0; c < weight.length; c += 1) {
      for (const end = i + each; i < end; i += 1) out[i] = (x[i] - mean[c]) * factor[c] + bias[c];
    }
    return out;
  };
}

const activation = (name) => (x) => x.map(ACTIVATIONS[name]);

// A convolution of 3 x 3 with zeros around the picture (channels, height, width).
function convolution(part, name, biased, from, height, width) {
  const weight = part.get(`${name}.weight`), bias = biased ? part.get(`${name}.bias`) : null;
  const wide = width + 2, layer = wide * (height + 2), size = height * width;
  const channels = weight.length / (9 * from);
  const padded = new Float64Array(from * layer), sum = new Float64Array(size);
  return (x) => {
    const out = part.empty(channels * size);
    for (let c = 0; c < from; c += 1) {
      for (let row = 0; row < height; row += 1) {
        const begin = (c * height + row) * width;
        padded.set(x.subarray(begin, begin + width), c * layer + (row + 1) * wide + 1);
      }
    }
    for (let o = 0; o < channels; o += 1) {
      sum.fill(bias ? bias[o] : 0);
      for (let c = 0; c < from; c += 1) {
        const at = 9 * (o * from + c);
        const [a, b, d, e, f, g, h, k, l] = weight.subarray(at, at + 9);
        for (let row = 0; row < height; row += 1) {
          let p = c * layer + row * wide, q = row * width;
          for (const end = q + width; q < end; q += 1, p += 1) {
            sum[q] += a * padded[p] + b * padded[p + 1] + d * padded[p + 2]
              + e * padded[p + wide] + f * padded[p + wide + 1] + g * padded[p + wide + 2]
              + h * padded[p + 2 * wide] + k * padded[p + 2 * wide + 1] + l * padded[p + 2 * wide + 2];
          }
        }
      }
      out.set(sum, o * size);
    }
    return out;
  };
}

// The largest of each 2 x 2 pixels; a last odd row or column is left out.
function pool(part, channels, height, width) {
  const tall = height >> 1, wide = width >> 1;
  return (x) => {
    const out = part.empty(channels * tall * wide);
    let to = 0;
    for (let c = 0; c < channels; c += 1) {
      for (let row = 0; row < tall; row += 1) {
        let at = (c * height + 2 * row) * width;
        for (let column = 0; column < wide; column += 1, at += 2, to += 1) {
          out[to] = Math.max(x[at], x[at + 1], x[at + width], x[at + width + 1]);
        }
      }
    }
    return out;
  };
}

function rescaling(part) {
  const shift = part.get("rescaling.shift"), factor = part.get("rescaling.factor");
  return (x) => x.map((value, i) => value * factor[i] + shift[i]);
}

// The inputs that an embedding adds, from scaled inputs.
function embedding(part, spec) {
  const weight = part.get("embedding.weight"), { numbers, size, kind } = spec;
  const features = weight.length / (numbers.length * size);
  const { round } = part;
  const low = kind === "piecewise" ? part.get("embedding.low") : null;
  const rate = low && part.get("embedding.rate");
  const bias = low ? null : part.get("embedding.bias");
  const half = features / 2;
  const turns = low ? null : part.get("embedding.frequency").map((each) => round(2 * Math.PI) * each);
  const seen = (value, column, f) => {
    if (low) {
      const at = column * features + f;
      return Math.min(Math.max(round(round(value - low[at]) * rate[at]), 0), 1);
    }
    const angle = round(value * turns[column * half + (f % half)]);
    return f < half ? Math.cos(angle) : Math.sin(angle);
  };
  return (x) => {
    const out = part.empty(numbers.length * size);
    numbers.forEach((input, column) => {
      const sums = new Float64Array(size);
      for (let f = 0; f < features; f += 1) {
        const value = round(seen(x[input], column, f));
        if (!value) continue;
        const at = (column * features + f) * size;
        for (let s = 0; s < size; s += 1) sums[s] += value * weight[at + s];
      }
      out.set(sums, column * size);
    });
    return bias ? out.map((value, i) => Math.max(value + bias[i], 0)) : out;
  };
}

const chain = (layers) => (x) => layers.reduce((value, layer) => layer(value), x);

// ---- networks --------------------------------------------------------------------------------------

const NETWORKS = {
  constant: (part) => () => part.get("bias"),

  linear: (part, spec) => chain([scaling(part, spec.scale), linear(part, "linear")]),

  mlp(part, spec) {
    const before = [scaling(part, spec.scale)];
    if (spec.scale === "standard") before.push(bounds(part));
    if (spec.embedding) {
      const more = embedding(part, spec.embedding);
      before.push((x) => {
        const added = more(x), out = part.empty(x.length + added.length);
        out.set(x);
        out.set(added, x.length);
        return out;
      });
    }
    const layers = [];
    let at = 0;
    for (let i = 0; i < spec.widths.length; i += 1) {
      layers.push(linear(part, `hidden.${at}`, !spec.batch_norm));
      if (spec.batch_norm) layers.push(norm(part, `hidden.${at += 1}`));
      layers.push(activation(spec.activation));
      at += spec.dropout ? 3 : 2; // dropout does nothing after training
    }
    layers.push(linear(part, "output"));
    if (spec.rescale) layers.push(rescaling(part));
    return chain([...before, ...layers]);
  },

  cnn(part, spec) {
    const layers = [scaling(part, spec.scale)];
    let [from, height, width] = spec.inputs;
    let at = 0;
    for (const channels of spec.channels) {
      layers.push(convolution(part, `hidden.${at}`, !spec.batch_norm, from, height, width));
      if (spec.batch_norm) layers.push(norm(part, `hidden.${at += 1}`));
      layers.push(pool(part, channels, height, width), activation(spec.activation));
      at += 3;
      [from, height, width] = [channels, height >> 1, width >> 1];
    }
    layers.push(linear(part, "output"));
    if (spec.rescale) layers.push(rescaling(part));
    return chain(layers);
  },
};

function mean(part, spec, kind) {
  const members = Array.from({ length: spec.members }, (_, number) =>
    NETWORKS[kind](part.within(`members.${number}`), spec.member));
  return (x) => {
    const sum = members[0](x).slice();
    for (const member of members.slice(1)) member(x).forEach((value, i) => { sum[i] += value; });
    return sum.map((value) => value / members.length);
  };
}

// A function from an encoded example (an array of numbers) to raw predictions. `model` has kind,
// spec, dtype and tensors; `inputs` is the dtype of examples.
function network(model, inputs) {
  const part = new Part(model.tensors, model.dtype, inputs);
  return model.spec.members ? mean(part, model.spec, model.kind) : NETWORKS[model.kind](part, model.spec);
}

// The probabilities of the classes from raw predictions; null for numbers.
function probabilities(objective, raw) {
  if (objective === "squared") return null;
  if (objective === "logistic") return [sigmoid(-raw[0]), sigmoid(raw[0])];
  const top = Math.max(...raw);
  const parts = Array.from(raw, (value) => Math.exp(value - top));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((value) => value / sum);
}

// The number of the class that a model gives: of the most probable one, or of two the second where its
// probability is at least the model's threshold `cut`.
const called = ({ p, cut }) => (cut == null ? p.indexOf(Math.max(...p)) : Number(p[1] >= cut));

// ---- a row of a table --------------------------------------------------------------------------------

const MAX_FLOAT = 3.4028234663852886e38; // of float32

// How many encoded columns a column of a table makes.
function widthOf(field) {
  if (field.kind === "category") return field.categories.length + (field.other ? 1 : 0) + (field.missing ? 1 : 0);
  return field.fill.length + (field.missing ? 1 : 0);
}

// The parts of a date, from seconds since 1970: year, month, day, weekday from Monday and, of a date
// with times of day, the hour.
function dateParts(seconds, timed) {
  const day = Math.floor(seconds / 86400), date = new Date(day * 86400000);
  const parts = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), (((day + 3) % 7) + 7) % 7];
  return timed ? [...parts, (seconds - day * 86400) / 3600] : parts;
}

// One value as it stands in a record, a number, or null where it is missing: of a category its code,
// -1 for an unknown one; of a date seconds since 1970. Throws an Error that says what was expected.
function recorded(field, value, absent) {
  if (value === null || (field.kind !== "boolean" && absent.includes(String(value)))) return null;
  if (field.kind === "category") return field.categories.indexOf(String(value));
  if (field.kind === "boolean") return value ? 1 : 0;
  if (field.kind === "date") {
    const moment = Date.parse(`${value}${String(value).includes("T") ? "" : "T00:00"}Z`);
    if (Number.isNaN(moment)) throw new Error("expected a date");
    return moment / 1000;
  }
  const number = typeof value === "number" ? value : Number(value);
  if (!Number.isFinite(number) || String(value).trim() === "") throw new Error("expected a number, such as 3.5");
  return absent.some((each) => each.trim() !== "" && Number(each) === number) ? null : number;
}

// A record written into `out` from the place `at` on, and what is to be said of it: "" or a sentence.
function written(field, record, out, at) {
  if (field.kind === "category") {
    const count = field.categories.length;
    const last = record === null ? (field.missing ? count + (field.other ? 1 : 0) : -1)
      : record < 0 ? (field.other ? count : -1) : record;
    if (last >= 0) out[at + last] = 1;
    if (record === null) return field.missing ? "" : "missing, as in no training row: counts as no category";
    if (record >= 0) return "";
    return field.other ? "counts as one of the rare categories" : "in no training row: counts as no category";
  }
  const far = record !== null && field.ends && (record < field.ends[0] || record > field.ends[1]);
  const lost = record === null || far;
  const parts = lost ? field.fill : field.kind === "date" ? dateParts(record, field.timed) : [record];
  parts.forEach((part, i) => { out[at + i] = part; });
  if (field.missing) out[at + parts.length] = lost ? 1 : 0;
  if (!lost) return "";
  const rule = `the ${field.ends ? "median" : "mean"} of training stands in`;
  if (far) return `far from all usual numbers: counts as missing, and ${rule}`;
  return field.missing ? `missing: ${rule}, and a mark says so` : `missing, as in no training row: ${rule}`;
}

// A row as the networks take it: {x, notes: Map name -> sentence, wrong: Map name -> sentence}. `given`
// maps the names of columns to values: a number or text, true or false, null for a missing value.
function encoded(schema, given) {
  const x = new (schema.dtype === "float64" ? Float64Array : Float32Array)(schema.shape[0]);
  const notes = new Map(), wrong = new Map();
  let at = 0;
  for (const field of schema.fields) {
    try {
      const record = recorded(field, given.get(field.name), schema.missing);
      if (field.kind === "number" && schema.dtype === "float32" && Math.abs(record) > MAX_FLOAT) {
        throw new Error("too large a number");
      }
      const note = written(field, record, x, at);
      if (note) notes.set(field.name, note);
    } catch (error) {
      wrong.set(field.name, error.message);
    }
    at += widthOf(field);
  }
  return { x, notes, wrong };
}

// What each column adds to the raw predictions of a line: [{name, terms: one for each output}]. `names`
// are those of rows of numbers without columns of a table.
function terms(model, schema, x, names) {
  const part = new Part(model.tensors, model.dtype, schema.dtype);
  const scaled = scaling(part, model.spec.scale)(x);
  const weight = part.get("linear.weight"), outputs = weight.length / x.length;
  const columns = schema.fields.length
    ? schema.fields.map((field) => [field.name, widthOf(field)]) : names.map((name) => [name, 1]);
  let at = 0;
  return columns.map(([name, width]) => {
    const found = Array.from({ length: outputs }, (_, o) => {
      let sum = 0;
      for (let i = at; i < at + width; i += 1) sum += weight[o * x.length + i] * scaled[i];
      return sum;
    });
    at += width;
    return { name, terms: found };
  });
}

// What each pixel of a picture adds to the raw prediction `output` of a line, in the mean of its
// channels' sum, beyond what the ground adds: (height * width). With several outputs it is what it adds
// to this one beyond the mean of all.
function pixelTerms(model, schema, x, output) {
  const part = new Part(model.tensors, model.dtype, schema.dtype);
  const scale = scaling(part, model.spec.scale);
  const scaled = scale(x), ground = scale(x.map(() => (schema.ground ? schema.ground[0] : 0)));
  const weight = part.get("linear.weight"), inputs = x.length, outputs = weight.length / inputs;
  const size = schema.shape[1] * schema.shape[2];
  const found = new Float64Array(size);
  for (let i = 0; i < inputs; i += 1) {
    let average = 0;
    if (outputs > 1) for (let o = 0; o < outputs; o += 1) average += weight[o * inputs + i] / outputs;
    found[i % size] += (weight[output * inputs + i] - average) * (scaled[i] - ground[i]);
  }
  return found;
}
