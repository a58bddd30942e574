"use strict";
// What the parts of the page share. Everything that comes from a model is put in as text, never as markup.

const facts = JSON.parse(document.getElementById("facts").textContent);
const { schema } = facts;

const $ = (id) => document.getElementById(id);
const none = (value) => value === null || value === undefined;

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (none(value) || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className = value;
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => !none(child)).map(
    (child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return node;
}

// A name from the data as text that can be seen: controls, and marks that turn text around, as their codes.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;
const code = (letter) => {
  const number = letter.codePointAt(0);
  return number < 256 ? `\\x${number.toString(16).padStart(2, "0")}` : `\\u${number.toString(16).padStart(4, "0")}`;
};
const visible = (text) => String(text).replace(HIDDEN, code) || "(empty)";
const named = (tag, text, props = {}) => el(tag, { dir: "auto", ...props, class: `name ${props.class || ""}`.trim() }, visible(text));

const up = (value) => value * (1 + Number.EPSILON); // a tie is rounded away from 0, as in the report
const percent = (value, digits = 2) => `${up(100 * value).toFixed(digits)} %`;
const likely = (p) => (p > 0 && p < 1e-4 ? "<0.01 %" : p < 1 && p > 0.9999 ? ">99.99 %" : percent(p));
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

// A number with four digits, and all of them before the point.
function figure(value) {
  value = up(value) || 0;
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e12)) return Number(value.toPrecision(4)).toExponential();
  return size >= 999.95 ? Number(value.toFixed(0)).toLocaleString("en") : String(Number(value.toPrecision(4)));
}

const signed = (value) => (value < 0 ? `−${figure(-value)}` : `+${figure(value)}`);

// The score on test rows with its interval, as linnet prints it.
function headline(scores) {
  if (!scores) return "";
  const { accuracy, rmse, r2 } = scores;
  if (typeof accuracy === "number") {
    const [low, high] = scores.accuracy_interval || [];
    return `accuracy ${percent(accuracy)}${none(low) ? "" : ` (${up(100 * low).toFixed(2)} to ${up(100 * high).toFixed(2)})`}`;
  }
  if (typeof rmse !== "number") return "";
  const [low, high] = scores.rmse_interval || [];
  return `RMSE ${figure(rmse)}${none(low) ? "" : ` (${figure(low)} to ${figure(high)})`}${none(r2) ? "" : `, R2 ${up(r2).toFixed(3)}`}`;
}

// A function that runs once after the last of several calls.
function soon(milliseconds, act) {
  let waiting = 0;
  return (...given) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => act(...given), milliseconds);
  };
}
