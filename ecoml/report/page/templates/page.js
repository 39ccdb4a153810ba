"use strict";

// Charts. A chart with a picker has a parameter `chosen`, {trial, step}, which marks the chosen point.
for (const source of document.querySelectorAll("script[data-chart]")) {
  const place = document.getElementById(source.dataset.chart);
  const options = { renderer: "svg", actions: false, tooltip: { theme: "plain" } };
  vegaEmbed(place, JSON.parse(source.textContent), options)
    .then(({ view }) => {
      place.dataset.drawn = "";
      const picker = document.querySelector(`[data-picks="${place.id}"]`);
      if (picker) startPicker(picker, view);
    })
    .catch((error) => { place.textContent = `This chart could not be drawn: ${error.message}`; });
}

function startPicker(picker, view) {
  const { points, tips } = JSON.parse(picker.querySelector("script").textContent);
  const told = picker.querySelector(".picked");
  let at = -1;

  function choose(point) {
    at = points.findIndex((other) => other.trial === point.trial && other.step === point.step);
    view.signal("chosen", { trial: point.trial, step: point.step }).runAsync();
    const list = document.createElement("dl");
    for (const [field, title] of Object.entries(tips)) {
      const row = list.appendChild(document.createElement("div"));
      row.appendChild(document.createElement("dt")).textContent = title;
      row.appendChild(document.createElement("dd")).textContent = point[field];
    }
    told.replaceChildren(list);
    for (const row of document.querySelectorAll("tr.picked-row")) row.classList.remove("picked-row");
    document.getElementById(`point-${point.trial}-${point.step}`)?.closest("tr").classList.add("picked-row");
  }

  function go(step) {
    const next = at < 0 ? (step > 0 ? 0 : points.length - 1) : Math.min(points.length - 1, Math.max(0, at + step));
    choose(points[next]);
  }

  view.addEventListener("click", (event, item) => {
    if (item?.datum && "trial" in item.datum && "config" in item.datum) choose(item.datum);
  });
  for (const button of picker.querySelectorAll("button")) {
    button.addEventListener("click", () => go(Number(button.dataset.step)));
  }
  picker.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); go(step); }
  });
  picker.hidden = false;
}

// Tables that sort: a button in each heading, what has no figure always last.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sortBy(table.tBodies[0], column, down ? -1 : 1);
    });
  });
}

function sortBy(body, column, direction) {
  const key = (row) => {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    return cell.querySelector(".none") ? null : cell.textContent.trim();
  };
  const keyed = [...body.rows].map((row) => [key(row), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return direction * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  });
  body.append(...keyed.map(([, row]) => row));
}
