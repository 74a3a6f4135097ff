// Makes a report's tables sortable, its variants and mistakes searchable and its matrices readable by keyboard. The page says
// all there is to say without it. Nothing is ever parsed as markup here, and no less-than sign stands in this file, so that a
// test can read the page tag by tag.
"use strict";
(() => {
  const all = (where, selector) => [...where.querySelectorAll(selector)];

  const make = (tag, attributes, ...inside) => {
    const element = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...inside);
    return element;
  };

  const labelled = (words, control) => make("label", {}, make("span", {}, words), control);

  // What a person typed, as words that must all occur.
  const words = (input) => input.value.toLowerCase().split(/\s+/).filter((word) => word);
  const holds = (text, wanted) => wanted.every((word) => text.includes(word));

  // The figure that a cell begins with: `0.8123 ± 0.01`, `−3`, `10 605`; null for other words.
  const figure = (cell) => {
    const said = (cell.dataset.value ?? cell.firstChild?.textContent ?? "").replace("\u2212", "-").replace(/,/g, "");
    const value = parseFloat(said);
    return Number.isFinite(value) ? value : null;
  };

  const sortable = (table) => {
    const heads = all(table, "thead th");
    const body = table.tBodies[0];
    // what is equal stays in the order of the page
    const ranked = [...body.rows];
    const sort = (head, column) => {
      const cells = ranked.map((row) => row.cells[column]);
      const numeric = cells.some((cell) => cell.tagName === "TD" && figure(cell) !== null);
      const first = numeric && !head.hasAttribute("data-low") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      const sign = order === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        if (!numeric) {
          return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
        }
        const [x, y] = [figure(a), figure(b)];
        // what has no figure stands last, whichever way
        return x === null || y === null ? (x === null) - (y === null) : sign * (x - y);
      };
      const rows = [...ranked].sort((a, b) => compare(a.cells[column], b.cells[column]));
      body.append(...rows);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
    };
    heads.forEach((head, column) => {
      if (head.classList.contains("draw")) {
        return;
      }
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(head, column));
      head.append(button);
    });
  };

  const filterable = (table) => {
    const lines = [...table.tBodies[0].rows].map((row) => [row, row.querySelector("th").textContent.toLowerCase()]);
    const frame = table.closest(".scroll");
    const drawing = frame.previousElementSibling?.matches("figure") ? frame.previousElementSibling : null;
    const strips = drawing ? all(drawing, ".strips .row").filter((row) => row.querySelector(".who")) : [];
    const drawn = strips.map((row) => [row, row.querySelector(".who").textContent.toLowerCase()]);
    const input = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    const status = make("output", {});
    const filter = () => {
      const wanted = words(input);
      [...lines, ...drawn].forEach(([row, text]) => { row.hidden = !holds(text, wanted); });
      const left = lines.filter(([row]) => !row.hidden).length;
      status.textContent = wanted.length ? `${left} of ${lines.length} variants` : "";
    };
    input.addEventListener("input", filter);
    const tools = make("div", { class: "tools", role: "search", "aria-label": "variants" });
    tools.append(labelled("Filter variants", input), status);
    // above the drawing, which is filtered too
    (drawing ?? frame).before(tools);
  };

  // Shows where the words stand, without touching the text.
  const marked = new Map();
  const mark = (list, items, wanted) => {
    if (!window.Highlight || !CSS.highlights) {
      return;
    }
    const ranges = [];
    const visit = (node) => {
      const text = node.data.toLowerCase();
      // a letter that changes its length in lower case would move all that follow
      if (text.length !== node.data.length) {
        return;
      }
      for (const word of wanted) {
        for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) {
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    };
    for (const said of items.flatMap((item) => all(item, ".said"))) {
      const walker = document.createTreeWalker(said, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        visit(walker.currentNode);
      }
    }
    marked.set(list, ranges);
    CSS.highlights.set("found", new Highlight(...[...marked.values()].flat()));
  };

  const choice = (values, any) => {
    const select = make("select", {}, make("option", { value: "" }, any));
    [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).forEach((value) => {
      select.append(make("option", { value: `=${value}` }, value));
    });
    return select;
  };

  const browsable = (list) => {
    const items = [...list.children].map((item) => ({
      item,
      text: all(item, ":scope > :not(.near)").map((part) => part.textContent).join(" ").toLowerCase(),
      label: item.querySelector(".meta b").textContent,
      predicted: item.querySelector(".meta b.wrong").textContent,
      score: item.dataset.score === undefined ? null : Number(item.dataset.score),
    }));
    const tools = make("div", { class: "tools", role: "search", "aria-label": "mistakes" });
    const search = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    tools.append(labelled("Search texts", search));
    const controls = [search];
    const add = (words, control) => {
      tools.append(labelled(words, control));
      controls.push(control);
      return control;
    };
    const classed = list.dataset.task === "classes";
    const label = classed && add("True class", choice(items.map((one) => one.label), "any"));
    const predicted = classed && add("Taken for", choice(items.map((one) => one.predicted), "any"));
    const scores = items.map((one) => one.score).filter((score) => score !== null);
    const [low, high] = [Math.min(...scores), Math.max(...scores)];
    const ranged = scores.length > 1 && high > low;
    const digits = ranged ? Math.max(0, Math.ceil(2 - Math.log10(high - low))) : 0;
    const numbers = { type: "number", step: "any", inputmode: "decimal" };
    const from = ranged && add(`${list.dataset.score} from`, make("input", { ...numbers, placeholder: low.toFixed(digits) }));
    const to = ranged && add("to", make("input", { ...numbers, placeholder: high.toFixed(digits) }));
    const order = make("select", {}, make("option", { value: "" }, "surest first"), make("option", { value: "up" }, "least sure first"));
    if (ranged && classed) {
      add("Order", order);
    }
    const status = make("output", {});
    tools.append(status);
    const within = (one) =>
      !ranged || (one.score !== null && !(from.value && Number(from.value) > one.score) && !(to.value && one.score > Number(to.value)))
      || (one.score === null && !from.value && !to.value);
    const chosen = (select, value) => !select || !select.value || select.value === `=${value}`;
    const filter = () => {
      const wanted = words(search);
      for (const one of items) {
        one.item.hidden = !(holds(one.text, wanted) && chosen(label, one.label) && chosen(predicted, one.predicted) && within(one));
      }
      const left = items.filter((one) => !one.item.hidden);
      status.textContent = `${left.length} of ${items.length} shown`;
      mark(list, left.map((one) => one.item), wanted);
    };
    controls.forEach((control) => control.addEventListener("input", filter));
    order.addEventListener("input", () => list.append(...[...list.children].reverse()));
    list.before(tools);
  };

  // One stop of the tab key for a whole drawing; arrows go from part to part, and what is told of it stands below.
  const readable = (drawing) => {
    const parts = all(drawing, ".part");
    if (!parts.length) {
      return;
    }
    const across = Number(drawing.dataset.across ?? 1);
    const caption = drawing.closest("figure").querySelector("figcaption");
    const before = caption.previousElementSibling;
    // drawings that stand beside each other share one
    const told = before.matches(".told") ? before : make("p", { class: "told", "aria-hidden": "true" }, "\u00a0");
    caption.before(told);
    const tell = (part) => { told.textContent = part.querySelector("title")?.textContent ?? ""; };
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across };
    parts.forEach((part, at) => {
      part.setAttribute("tabindex", at ? "-1" : "0");
      part.addEventListener("focus", () => tell(part));
      part.addEventListener("pointerenter", () => tell(part));
      part.addEventListener("keydown", (event) => {
        const next = event.key in steps ? parts[at + steps[event.key]] : undefined;
        if (next) {
          event.preventDefault();
          part.setAttribute("tabindex", "-1");
          next.setAttribute("tabindex", "0");
          next.focus();
        }
      });
    });
  };

  const copyable = (code) => {
    const button = make("button", { type: "button", class: "copy" }, "Copy");
    const status = make("output", {});
    button.addEventListener("click", () => {
      const done = () => { status.textContent = "copied"; };
      const select = () => { getSelection().selectAllChildren(code); };
      navigator.clipboard ? navigator.clipboard.writeText(code.textContent).then(done, select) : select();
    });
    code.after(" ", button, " ", status);
  };

  // What is folded away waits until it is opened: a page may hold thousands of mistakes.
  const fit = (selector, how) => all(document, selector).forEach((element) => {
    const folded = element.closest("details:not([open])");
    folded ? folded.addEventListener("toggle", () => how(element), { once: true }) : how(element);
  });
  fit("table[data-sort]", sortable);
  fit("table[data-filter]", filterable);
  fit("ol.mistakes[data-task]", browsable);
  fit("svg.read", readable);
  fit("code[data-copy]", copyable);

  // on paper nothing is folded away
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all(document, "details:not([open])");
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
