"use strict";
// The mistakes: filtered by class, and saved as CSV. A list holds items, each with its cells as JSON:
// the row, the true class, the predicted one, and so on; a table has rows.
for (const part of document.querySelectorAll("[data-filter]")) {
  const table = part.querySelector("table");
  const items = [...part.querySelectorAll(table ? "tbody tr" : "[data-cells]")];
  const cells = (item) => (table ? [...item.cells].map((cell) => cell.textContent) : JSON.parse(item.dataset.cells));
  const heads = table ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent) : JSON.parse(part.dataset.heads);
  const choices = [...part.querySelectorAll("select")];
  const count = part.querySelector("output");
  const shown = () => items.filter((item) => !item.hidden);
  choices.forEach((choice, place) => {
    const found = [...new Set(items.map((item) => cells(item)[place + 1]))];
    const order = (a, b) => a.localeCompare(b, "en", {numeric: true});
    for (const name of found.sort(order)) choice.append(new Option(name, name));
    choice.addEventListener("change", () => {
      for (const item of items) {
        const own = cells(item);
        item.hidden = choices.some((one, at) => one.selectedIndex > 0 && own[at + 1] !== one.value);
      }
      count.textContent = `${shown().length} / ${items.length}`;
    });
  });
  part.querySelector("button").addEventListener("click", () => {
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
    const lines = [heads, ...shown().map(cells)].map((row) => row.map(quoted).join(","));
    const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], {type: "text/csv"}));
    const link = document.createElement("a");
    [link.href, link.download] = [url, "mistakes.csv"];
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
}
