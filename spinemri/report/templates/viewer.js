/* The interactive viewer of the report. Places are LPS mm; niivue wants RAS, so the first two signs change at its door.
   Each visit has a sagittal and an axial pane. A pane shows whole slices as acquired: across the slices its cross sits
   on a slice centre, and the true place is kept by the column. */
"use strict";
(() => {
  const section = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const AXIS = { sagittal: 0, axial: 2 };
  const MASS = "spinemri-mass";
  const CLOSE_MM = { sagittal: 150, axial: 90 };
  const FRONT_MM = 12;
  const { clamp, fromCanal, minus, nearest, ras, toCanal } = spinemriPlaces;
  const element = (tag, name, parent) => {
    const made = document.createElement(tag);
    made.className = name;
    parent.append(made);
    return made;
  };
  const colour = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  /* "T6?" is T6; "T6/7" lies between T6 and T7, "T12/L1" between T12 and L1. */
  const bare = (name) => name.replace("?", "");
  function neighbours(name) {
    const [upper, lower] = bare(name).split("/");
    return [upper, lower && /^\d/.test(lower) ? upper[0] + lower : lower];
  }

  class Pane {
    constructor(column, plane, parent) {
      this.column = column;
      this.plane = plane;
      this.root = element("div", `viewer-pane ${plane}`, parent);
      this.canvas = element("canvas", "", this.root);
      this.names = element("div", "names", this.root);
      this.say = element("div", "say", this.root);
      // Not known yet; null where the visit has no such series.
      this.stack = undefined;
      this.placing = false;
      this.loading = true;
      this.span = CLOSE_MM[plane];
      this.write();
    }

    async start() {
      this.nv = new niivue.Niivue({
        backColor: [0, 0, 0, 1],
        crosshairColor: [0.94, 0.89, 0.26, 0.75],
        crosshairWidth: 0.35,
        crosshairWidthUnit: "mm",
        crosshairGap: 8,
        dragAndDropEnabled: false,
        fontColor: [1, 1, 1, 1],
        fontMinPx: 14,
        isOrientationTextVisible: true,
        loadingText: "",
        logLevel: "silent",
        sagittalNoseLeft: true,
        sliceType: this.plane === "axial" ? 0 : 2,
        keyDebounceTime: 0,
      });
      this.nv.addColormap(MASS, { R: [0, 230, 230], G: [0, 159, 159], B: [0, 0, 0], A: [0, 255, 255], I: [0, 1, 255] });
      await this.nv.attachToCanvas(this.canvas, false);
      this.nv.setRadiologicalConvention(true);
      this.nv.setMouseEventConfig({ leftButton: { primary: 8 }, rightButton: 9, centerButton: 3 });
      this.nv.onLocationChange = (location) => this.placing || this.column.moved(this, ras(location.mm));
      const draw = this.nv.drawScene.bind(this.nv);
      this.nv.drawScene = () => {
        const said = draw();
        this.write();
        return said;
      };
    }

    /* Show a stack of the column's visit, or say that there is none. */
    async show(stack) {
      this.stack = stack ?? null;
      this.placing = this.loading = true;
      while (this.nv.volumes.length) this.nv.removeVolume(this.nv.volumes[0]);
      if (stack) {
        for (const [kind, text] of [["image", stack.image], ["tissues", stack.tissues], ["mass", stack.mass]]) {
          if (text) this.nv.addVolume(await this.read(kind, text));
        }
        this.overlays();
      }
      this.placing = this.loading = false;
      this.place(this.column.mm);
    }

    async read(kind, base64) {
      const options = { base64, name: `${kind}.nii.gz`, trustCalMinMax: true };
      if (kind === "image") return niivue.NVImage.loadFromBase64({ ...options, colormap: "gray", cal_min: 0, cal_max: data.white });
      const volume = await niivue.NVImage.loadFromBase64({ ...options, colormap: MASS, cal_min: 127, cal_max: 128 });
      if (kind === "tissues") volume.setColormapLabel(labels());
      volume.shows = kind;
      return volume;
    }

    overlays() {
      this.nv.volumes.forEach((volume, i) => {
        if (volume.shows) this.nv.setOpacity(i, viewer.opacity(volume.shows));
      });
    }

    /* The axis across the slices: a sagittal stack in an axial pane is a reformat, and has none here. */
    get native() {
      return this.stack && this.stack.plane === this.plane;
    }

    fraction(place) {
      return Array.from(this.nv.mm2frac(ras(place), 0, true));
    }

    place(place, centre = false) {
      if (this.loading || !this.stack) return this.write();
      const fraction = this.fraction(place);
      const dims = this.nv.volumes[0].dimsRAS.slice(1, 4);
      const axis = AXIS[this.plane];
      this.outside = fraction.some((value) => value < -0.5 / dims[axis] || value > 1 + 0.5 / dims[axis]);
      this.slice = clamp(Math.floor(fraction[axis] * dims[axis]), 0, dims[axis] - 1);
      const shown = fraction.map((value) => clamp(value, 0, 1));
      shown[axis] = (this.slice + 0.5) / dims[axis];
      this.nv.scene.crosshairPos = shown;
      if (centre) this.centre(shown);
      this.placing = true;
      this.nv.drawScene();
      this.placing = false;
    }

    /* Bring a place to the middle, with `span` mm from top to bottom; 0 shows the whole image. */
    centre(fraction) {
      const { extentsMinOrtho: low, extentsMaxOrtho: high } = this.nv.volumes[0];
      const [across, down] = this.plane === "axial" ? [0, 1] : [1, 2];
      const size = minus(high, low);
      const whole = Math.max(size[down], (size[across] * this.canvas.clientHeight) / this.canvas.clientWidth);
      const zoom = this.span ? Math.max(1, whole / this.span) : 1;
      const middle = low.map((value, i) => (value + high[i]) / 2);
      const target = zoom > 1 ? Array.from(this.nv.frac2mm(fraction)).slice(0, 3) : middle;
      // Bodies lie in front of the canal: they want more of a sagittal pane than what lies behind.
      if (zoom > 1 && this.plane === "sagittal") target[1] += FRONT_MM;
      const pan = middle.map((value, i) => value - target[i] * zoom);
      this.nv.scene.pan2Dxyzmm = [pan[0], pan[1], pan[2], zoom];
    }

    /* Level names beside the bodies, and what the pane shows. */
    write() {
      this.names.replaceChildren();
      this.say.textContent = this.sentence();
      if (this.loading || !this.stack || !this.stack.mass || this.plane === "axial" || !viewer.on("names")) return;
      const here = neighbours(viewer.levelAt(this.column));
      for (const level of this.column.visit.levels.filter((one) => one.front)) {
        const fraction = this.fraction(level.front);
        fraction[0] = this.nv.scene.crosshairPos[0];
        const at = this.nv.frac2canvasPos(fraction);
        if (!at) continue;
        const ratio = this.canvas.width / this.canvas.clientWidth;
        const name = element("span", here.includes(bare(level.name)) ? "here" : "", this.names);
        name.textContent = level.name;
        name.style.left = `${Math.max(at[0] / ratio, 26)}px`;
        name.style.top = `${at[1] / ratio}px`;
      }
    }

    sentence() {
      if (this.stack === undefined) return "Loading the images.";
      if (!this.stack) return "No such series at this visit.";
      const name = this.native ? this.stack.name : `${this.stack.name}, reformatted`;
      if (this.loading || this.slice === undefined) return name;
      const count = this.nv.volumes[0].dimsRAS[AXIS[this.plane] + 1];
      // Axial slices are counted from the top, as they are read.
      const number = this.plane === "axial" ? count - this.slice : this.plane === "sagittal" ? count - this.slice : 0;
      const where = this.native ? `, slice ${number} of ${count}` : "";
      const masks = this.stack.mass ? "" : ", own coordinates: no outlines, not locked";
      return `${name}${where}${this.outside ? ", the cross lies outside" : ""}${masks}`;
    }
  }

  /* One visit: two panes and the numbers of the section at the cross. */
  class Column {
    constructor(visit, parent) {
      this.visit = visit;
      this.mm = visit.worst || visit.place;
      this.root = element("div", "viewer-column", parent);
      this.title = element("div", "viewer-title", this.root);
      this.sagittal = new Pane(this, "sagittal", this.root);
      this.axial = new Pane(this, "axial", this.root);
      this.facts = element("div", "viewer-facts", this.root);
    }

    get panes() {
      return [this.sagittal, this.axial];
    }

    name() {
      const others = data.visits.filter((visit) => visit.stacks.length);
      if (others.length < 3) {
        this.title.textContent = this.visit.title;
        return;
      }
      const choice = element("select", "", this.title);
      for (const visit of others) choice.append(new Option(visit.title, String(data.visits.indexOf(visit)), false, visit === this.visit));
      choice.addEventListener("change", () => this.change(data.visits[Number(choice.value)]));
    }

    async change(visit) {
      const place = toCanal(this.visit.line, this.mm);
      this.visit = visit;
      this.mm = fromCanal(visit.line, place);
      await this.show();
      this.go(this.mm);
    }

    async show() {
      for (const pane of this.panes) await pane.show(this.stack(pane.plane));
      this.tell();
    }

    /* The chosen series; a visit without axial ones has the sagittal one reformatted. */
    stack(plane) {
      const role = viewer.choice(plane);
      const chosen = this.visit.stacks.find((stack) => stack.role === role);
      return chosen || (plane === "axial" && role === "" ? this.stack("sagittal") : null);
    }

    moved(pane, place) {
      if (pane.stack.mass || data.visits.length === 1) viewer.move(this, place, pane);
    }

    go(place, { centre = true, except = null } = {}) {
      this.mm = place;
      for (const pane of this.panes) {
        if (pane === except || (pane.stack && !pane.stack.mass)) pane.write();
        else pane.place(place, centre);
      }
      this.tell();
    }

    tell() {
      const sections = this.visit.profile;
      this.facts.replaceChildren();
      const level = viewer.levelAt(this);
      element("strong", "", this.facts).textContent = level || "–";
      if (sections.length) {
        const [, , , , mass, occupancy, canal, sac, cord] = sections[viewer.sectionAt(this)];
        const list = element("dl", "", this.facts);
        for (const [name, value, unit] of [["Mass", mass, "mm²"], ["Occupies", occupancy, "%"], ["Canal", canal, "mm²"],
          ["Sac AP", sac, "mm"], ["Cord AP", cord, "mm"]]) {
          element("dt", "", list).textContent = name;
          element("dd", "", list).textContent = value === null ? "–" : `${value.toFixed(unit === "mm" ? 1 : 0)} ${unit}`;
        }
      }
      const [left, back, up] = this.mm.map((value) => String(Math.round(value) + 0).replace("-", "−"));
      element("div", "place", this.facts).textContent = `L ${left}  P ${back}  S ${up} mm`;
    }
  }

  const control = (act) => section.querySelector(`[data-act="${act}"]`);

  const viewer = {
    data,
    columns: [],
    ready: false,
    toCanal,
    fromCanal,
    on: (act) => Boolean(control(act) && control(act).checked),
    choice: (plane) => control(plane).value,
    opacity: (kind) => (viewer.on(kind) ? Number(control(`${kind}-opacity`).value) / 100 : 0),
    sectionAt: (column) => nearest(column.visit.profile.map((row) => row.slice(0, 3)), column.mm),
    levelAt: (column) => (column.visit.profile.length ? column.visit.profile[viewer.sectionAt(column)][3] : ""),

    /* A cross that moved in one pane moves in the other pane of its visit, and in the locked visit. */
    move(column, place, pane) {
      column.go(place, { centre: false, except: pane });
      if (!viewer.on("linked")) return;
      const canal = toCanal(column.visit.line, place);
      for (const other of viewer.columns) {
        if (other !== column) other.go(fromCanal(other.visit.line, canal), { centre: false });
      }
    },

    /* `settled` is kept when all panes show what was chosen. */
    show() {
      viewer.settled = viewer.columns.reduce((before, column) => before.then(() => column.show()), Promise.resolve());
      return viewer.settled;
    },

    /* Locked visits go to the baseline's worst place; each to its own where they are not locked. */
    worst() {
      const first = viewer.columns[0];
      const canal = toCanal(first.visit.line, first.visit.worst || first.visit.place);
      viewer.columns.forEach((column, i) => {
        const own = column.visit.worst || column.visit.place;
        column.go(viewer.on("linked") && i ? fromCanal(column.visit.line, canal) : own);
      });
    },

    level(name) {
      for (const column of viewer.columns) {
        const found = column.visit.levels.find((level) => level.name === name);
        if (!found) continue;
        const sections = column.visit.profile.map((row) => row.slice(0, 3));
        column.go(sections.length ? sections[nearest(sections, found.centre)] : found.centre);
      }
    },

    zoom(factor) {
      for (const pane of viewer.columns.flatMap((column) => column.panes)) {
        pane.span = factor ? clamp((pane.span || 2 * CLOSE_MM[pane.plane]) * factor, 30, 600) : 0;
        pane.place(pane.column.mm, true);
      }
    },
  };

  function labels() {
    const all = [{ id: 0, name: "", colour: "#000000" }, ...data.tissues];
    const [R, G, B] = [0, 1, 2].map((at) => all.map((one) => colour(one.colour)[at]));
    return { R, G, B, A: all.map((one) => (one.id ? 255 : 0)), I: all.map((one) => one.id), labels: all.map((one) => one.name) };
  }

  function fill() {
    const stacks = data.visits.flatMap((visit) => visit.stacks);
    for (const plane of ["sagittal", "axial"]) {
      // Another series may stand in at some of the visits: the choice is one of roles, and names all that have it.
      const names = new Map();
      for (const { role, name } of stacks.filter((stack) => stack.plane === plane)) {
        names.set(role, (names.get(role) ?? new Set()).add(name.replace(/^(Sagittal|Axial) /, "")));
      }
      for (const [role, own] of names) control(plane).append(new Option([...own].join(" / "), role));
      if (plane === "axial" && !names.size) control(plane).append(new Option("reformatted", ""));
    }
    const levels = [...new Set(data.visits.flatMap((visit) => visit.levels.map((level) => level.name)))];
    control("level").append(new Option("go to …", ""), ...levels.map((name) => new Option(name, name)));
    const { worst, worstLevel } = data.visits[0];
    control("worst").textContent = worst ? `Worst level${worstLevel ? ` ${worstLevel}` : ""}` : "Middle of the canal";
  }

  function listen() {
    const act = (name, kind, run) => control(name) && control(name).addEventListener(kind, run);
    const panes = () => viewer.columns.flatMap((column) => column.panes);
    const redraw = () => panes().forEach((pane) => pane.overlays());
    act("worst", "click", viewer.worst);
    act("level", "change", (event) => event.target.value && viewer.level(event.target.value));
    for (const plane of ["sagittal", "axial"]) act(plane, "change", () => viewer.show());
    for (const kind of ["mass", "tissues"]) {
      act(kind, "change", redraw);
      act(`${kind}-opacity`, "input", redraw);
    }
    act("names", "change", () => panes().forEach((pane) => pane.write()));
    act("linked", "change", () => viewer.on("linked") && viewer.move(viewer.columns[0], viewer.columns[0].mm, null));
    act("in", "click", () => viewer.zoom(0.8));
    act("out", "click", () => viewer.zoom(1.25));
    act("whole", "click", () => viewer.zoom(0));
  }

  async function start() {
    const shown = data.visits.filter((visit) => visit.stacks.length);
    const parent = section.querySelector(".viewer-columns");
    section.querySelector(".viewer-on").hidden = false;
    fill();
    viewer.columns = [...new Set([shown[0], shown[shown.length - 1]])].map((visit) => new Column(visit, parent));
    for (const column of viewer.columns) {
      column.name();
      for (const pane of column.panes) await pane.start();
    }
    await viewer.show();
    listen();
    viewer.worst();
    viewer.ready = true;
  }

  function off(problem) {
    section.querySelector(".viewer-on").hidden = true;
    section.querySelector(".viewer-off").hidden = false;
    viewer.problem = String(problem);
  }

  window.spinemriViewer = viewer;
  const gl = document.createElement("canvas").getContext("webgl2");
  if (gl) start().catch(off);
  else off("no WebGL 2");
})();
