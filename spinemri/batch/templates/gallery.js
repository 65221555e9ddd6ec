/* The gallery: cards, ratings kept in the browser, and their export. */
"use strict";
const spinemriGallery = (() => {
  const cases = JSON.parse(document.getElementById("gallery-data").textContent);
  const words = ["pass", "fix", "exclude"];
  const ratings = new Map();
  const cards = new Map();
  const list = document.getElementById("cases");
  let current = null;
  let stored = true;

  const place = (entry) => `spinemri-rating:${entry.key}`;
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  function remembered(entry) {
    const given = { rating: entry.rating, note: "", rated: "" };
    try {
      return JSON.parse(localStorage.getItem(place(entry))) || given;
    } catch {
      return given;
    }
  }

  function keep(entry, value) {
    ratings.set(entry.key, value);
    try {
      localStorage.setItem(place(entry), JSON.stringify(value));
    } catch {
      stored = false;
    }
    show(entry);
    tally();
  }

  function rate(entry, rating) {
    keep(entry, { ...ratings.get(entry.key), rating, rated: new Date().toISOString() });
  }

  function show(entry) {
    const card = cards.get(entry.key);
    const { rating, note } = ratings.get(entry.key);
    card.classList.remove(...words);
    if (rating) card.classList.add(rating);
    for (const button of card.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.className === rating));
    }
    const field = card.querySelector("input");
    if (field.value !== note) field.value = note;
  }

  function build(entry) {
    const images = element("div", { className: "images" });
    entry.pictures.forEach((source, i) => {
      const alt = `${entry.subject}, ${entry.visit}: ${i ? "section" : "sagittal"} with outlines`;
      images.append(element("img", { src: source, alt, loading: "lazy" }));
    });
    if (!entry.pictures.length) images.append(element("p", { textContent: "no figures" }));
    const title = element("h2", {}, `${entry.subject} · ${entry.visit}`);
    title.append(element("a", { href: entry.report, textContent: "report" }));
    const row = element("div", { className: "row" });
    for (const word of words) {
      row.append(element("button", { className: word, textContent: word, type: "button",
        onclick: () => rate(entry, ratings.get(entry.key).rating === word ? "" : word) }));
    }
    row.append(element("input", { placeholder: "note", ariaLabel: `note on ${entry.subject}, ${entry.visit}`,
      onchange: (event) => keep(entry, { ...ratings.get(entry.key), note: event.target.value, rated: new Date().toISOString() }) }));
    const flags = element("div", { className: "flags" }, element("code", { textContent: entry.flags.join(" ") }));
    const facts = element("div", { className: "facts-line", textContent: entry.facts });
    const card = element("article", { className: "case", onclick: () => choose(entry) }, title, facts, images, flags, row);
    cards.set(entry.key, card);
    ratings.set(entry.key, remembered(entry));
    show(entry);
  }

  function shown() {
    const filter = document.querySelector("[data-act=filter]").value;
    const order = document.querySelector("[data-act=order]").value;
    const fits = (entry) => filter === "all" || (filter === "flags" ? entry.flags.length > 0 : ratings.get(entry.key).rating === filter);
    const found = cases.filter(fits);
    return order === "flags" ? found.sort((a, b) => b.flags.length - a.flags.length) : found;
  }

  function arrange() {
    list.replaceChildren(...shown().map((entry) => cards.get(entry.key)));
  }

  function tally() {
    const counts = words.map((word) => `${word} ${cases.filter((entry) => ratings.get(entry.key).rating === word).length}`);
    const open = cases.filter((entry) => !ratings.get(entry.key).rating).length;
    document.getElementById("tally").textContent = `${counts.join(", ")}, not rated ${open}` +
      (stored ? "" : ". This browser keeps nothing: export before you close the page");
  }

  function choose(entry) {
    if (current) cards.get(current.key).classList.remove("current");
    current = entry;
    cards.get(entry.key).classList.add("current");
  }

  function step(by) {
    const visible = shown();
    if (!visible.length) return;
    const at = visible.indexOf(current) + by;
    choose(visible[Math.min(Math.max(at, 0), visible.length - 1)]);
    cards.get(current.key).scrollIntoView({ block: "center" });
  }

  function exported() {
    return cases.map((entry) => ({ subject: entry.subject, visit: entry.visit, ...ratings.get(entry.key) }))
      .filter((row) => row.rating || row.note);
  }

  function asCsv(rows) {
    const names = ["subject", "visit", "rating", "note", "rated"];
    const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return [names.join(","), ...rows.map((row) => names.map((name) => cell(String(row[name] ?? ""))).join(","))].join("\n") + "\n";
  }

  function save(name, text, type) {
    const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async function load(file) {
    const rows = JSON.parse(await file.text()).ratings;
    for (const row of rows) {
      const entry = cases.find((candidate) => candidate.subject === row.subject && candidate.visit === row.visit);
      if (entry) keep(entry, { rating: row.rating, note: row.note || "", rated: row.rated || "" });
    }
    arrange();
  }

  cases.forEach(build);
  arrange();
  tally();
  document.querySelectorAll("select").forEach((select) => select.addEventListener("change", arrange));
  document.querySelector("[data-act=json]").addEventListener("click", () =>
    save("ratings.json", JSON.stringify({ ratings: exported() }, null, 2) + "\n", "application/json"));
  document.querySelector("[data-act=csv]").addEventListener("click", () => save("ratings.csv", asCsv(exported()), "text/csv"));
  document.querySelector("[data-act=load]").addEventListener("change", (event) => load(event.target.files[0]));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "arrowdown") step(1);
    else if (key === "k" || key === "arrowup") step(-1);
    else if (current && "pfxu".includes(key)) rate(current, { p: "pass", f: "fix", x: "exclude", u: "" }[key]);
    else return;
    event.preventDefault();
  });
  return { cases, ratings, exported };
})();
