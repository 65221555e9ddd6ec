/* Places of the viewer, LPS mm: vectors, and the link between visits by their place along the canal. */
"use strict";
const spinemriPlaces = (() => {
  const ras = ([x, y, z]) => [-x, -y, z];
  const minus = (a, b) => a.map((value, i) => value - b[i]);
  const plus = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const norm = (a) => Math.hypot(...a);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function nearest(points, place) {
    let best = 0;
    let least = Infinity;
    points.forEach((point, i) => {
      const distance = norm(minus(place, point));
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  /* A place as distance along the baseline's canal and offsets to the left, to the back and along the canal. */
  function toCanal(line, place) {
    const i = nearest(line.point, place);
    const offset = minus(place, line.point[i]);
    const up = cross(line.left[i], line.posterior[i]);
    return { arc: line.arc[i], left: dot(offset, line.left[i]), back: dot(offset, line.posterior[i]), up: dot(offset, up) };
  }

  function fromCanal(line, place) {
    const last = line.arc.length - 1;
    const arc = clamp(place.arc, line.arc[0], line.arc[last]);
    let i = line.arc.findIndex((value) => value >= arc);
    i = i < 0 ? last : i;
    const span = i ? line.arc[i] - line.arc[i - 1] : 0;
    const part = span > 0 ? (line.arc[i] - arc) / span : 0;
    const centre = i ? plus(line.point[i], minus(line.point[i - 1], line.point[i]), part) : line.point[i];
    const frame = part > 0.5 ? i - 1 : i;
    const up = cross(line.left[frame], line.posterior[frame]);
    const beyond = arc - place.arc;
    let out = plus(centre, line.left[frame], place.left);
    out = plus(out, line.posterior[frame], place.back);
    return plus(out, up, place.up + beyond);
  }

  return { clamp, fromCanal, minus, nearest, ras, toCanal };
})();
