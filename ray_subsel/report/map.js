"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const canvas = document.getElementById("map-canvas");
  const draw = canvas.getContext("2d");
  const tip = document.getElementById("map-tip");
  const pinned = document.getElementById("map-pinned");
  const spoken = document.getElementById("map-spoken");
  const legend = document.getElementById("map-legend");
  const colouring = document.getElementById("map-colouring");
  const n = data.x.length;
  const place = new Map(data.id.map((id, at) => [id, at]));
  const view = { scale: 1, x: 0, y: 0 };
  let hover = -1, pin = -1, width = 0, height = 0, by = "status";
  const hidden = new Set();
  const HUES = [210, 25, 130, 275, 45, 340, 175, 95, 235, 5];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const groupOf = (at) => by === "status" ? data.status[at] : data[by][at];
  const namesOf = () => by === "status" ? data.statuses : data[by + "s"];

  function colour(group) {
    if (by === "status") {
      const name = data.statuses[group];
      if (name === "chosen") return style("--main");
      if (name === "near copy") return style("--copy");
      if (name === "group full") return style("--other");
      return name === "not chosen" ? style("--pale") : style("--bad");
    }
    if (group < 0 || group >= HUES.length) return style("--pale");
    return `hsl(${HUES[group]} ${dark() ? "70% 62%" : "65% 45%"})`;
  }

  const isChosen = (at) => data.statuses[data.status[at]] === "chosen";
  const left = (at) => (data.x[at] / 1000 * view.scale + view.x) * width;
  const top = (at) => ((1 - data.y[at] / 1000) * view.scale + view.y) * height;
  const shown = (at) => !hidden.has(groupOf(at));

  function circle(at, radius) {
    draw.beginPath();
    draw.arc(left(at), top(at), radius, 0, 2 * Math.PI);
  }

  function paint() {
    const ratio = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    draw.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw.clearRect(0, 0, width, height);
    const small = n > 4000 ? 1.7 : n > 800 ? 2.3 : 3.2;
    const colours = new Map();
    for (const first of [false, true]) {
      for (let at = 0; at < n; at++) {
        if (isChosen(at) !== first || !shown(at)) continue;
        const group = groupOf(at);
        if (!colours.has(group)) colours.set(group, colour(group));
        draw.fillStyle = colours.get(group);
        circle(at, first ? small + 1.4 : small);
        draw.fill();
        if (first) {
          draw.lineWidth = 1;
          draw.strokeStyle = style("--card");
          draw.stroke();
        }
      }
    }
    const focus = pin >= 0 ? pin : hover;
    if (focus < 0) return;
    draw.lineWidth = 2;
    draw.strokeStyle = style("--ink");
    const near = place.get(data.nearest[focus]);
    if (near !== undefined && near !== focus) {
      draw.beginPath();
      draw.moveTo(left(focus), top(focus));
      draw.lineTo(left(near), top(near));
      draw.stroke();
      circle(near, small + 4);
      draw.stroke();
    }
    circle(focus, small + 4);
    draw.stroke();
  }

  function nearestTo(x, y, reach) {
    let best = -1, least = reach * reach;
    for (let at = 0; at < n; at++) {
      if (!shown(at)) continue;
      const dx = left(at) - x, dy = top(at) - y, far = dx * dx + dy * dy - (isChosen(at) ? 9 : 0);
      if (far < least) { least = far; best = at; }
    }
    return best;
  }

  const name = (at) => data.own[at] !== null ? `row ${data.id[at]} (${data.own[at]})` : `row ${data.id[at]}`;
  const about = (at) => {
    const rank = data.rank[at] === null ? "" : `, number ${data.rank[at] + 1}`;
    const label = data.label[at] >= 0 && data.labels[data.label[at]] !== "" ? ` · ${data.labels[data.label[at]]}` : "";
    return `${name(at)}: ${data.statuses[data.status[at]]}${rank}${label}`;
  };

  function say(at) {
    hover = at;
    tip.hidden = at < 0;
    if (at >= 0) {
      tip.replaceChildren(line("strong", about(at)), line("span", data.text[at] || "(no text)"));
      const x = left(at), y = top(at), half = tip.offsetWidth / 2;
      tip.style.left = `${Math.min(Math.max(x, half + 4), width - half - 4)}px`;
      tip.style.top = `${y < tip.offsetHeight + 20 ? y + 14 : y - tip.offsetHeight - 14}px`;
      canvas.style.cursor = "pointer";
    } else {
      canvas.style.cursor = "";
    }
    paint();
  }

  function line(kind, text) {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }

  function card(title, text) {
    const made = document.createElement("div");
    made.append(line("h4", title), line("p", text || "(no text)"));
    return made;
  }

  function pinAt(at) {
    pin = at;
    pinned.hidden = at < 0;
    pinned.replaceChildren();
    if (at >= 0) {
      pinned.append(card(about(at), data.text[at]));
      const id = data.nearest[at];
      if (id !== null && id !== data.id[at]) {
        const near = place.get(id), cosine = (data.cosine[at] / 100).toFixed(2);
        const where = near === undefined ? `row ${id}, not on this map` : name(near);
        pinned.append(card(`nearest chosen: ${where} (cosine ${cosine})`, near === undefined ? "" : data.text[near]));
      }
      spoken.textContent = `${about(at)}. ${data.text[at]}`;
    } else {
      spoken.textContent = "";
    }
    paint();
  }

  function zoom(by_, x, y) {
    const scale = Math.min(40, Math.max(1, view.scale * by_));
    const turn = scale / view.scale;
    view.x = x - (x - view.x) * turn;
    view.y = y - (y - view.y) * turn;
    view.scale = scale;
    settle();
  }

  function settle() {
    const least = 1 - view.scale;
    view.x = Math.min(0, Math.max(least, view.x));
    view.y = Math.min(0, Math.max(least, view.y));
    paint();
  }

  let from = null, moved = false;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => { from = at(event); moved = false; });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (from !== null && event.buttons && view.scale > 1) {
      if (Math.hypot(x - from[0], y - from[1]) > 4) moved = true;
      if (moved) {
        view.x += (x - from[0]) / width;
        view.y += (y - from[1]) / height;
        from = [x, y];
        settle();
        return;
      }
    }
    if (event.pointerType !== "touch") say(nearestTo(x, y, 14));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!moved) {
      const [x, y] = at(event);
      const found = nearestTo(x, y, event.pointerType === "touch" ? 28 : 14);
      pinAt(found === pin ? -1 : found);
    }
    from = null;
  });
  canvas.addEventListener("pointerleave", () => { from = null; say(-1); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const [x, y] = at(event);
    zoom(event.deltaY < 0 ? 1.25 : 0.8, x / width, y / height);
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => { const [x, y] = at(event); zoom(2, x / width, y / height); });

  const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function step(way) {
    const now = hover >= 0 ? hover : pin;
    if (now < 0) return nearestTo(width / 2, height / 2, width);
    let best = now, least = Infinity;
    for (let one = 0; one < n; one++) {
      if (one === now || !shown(one)) continue;
      const dx = left(one) - left(now), dy = top(one) - top(now);
      const along = dx * way[0] + dy * way[1], aside = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (along > 0.5 && along + 2.5 * aside < least) { least = along + 2.5 * aside; best = one; }
    }
    return best;
  }
  canvas.addEventListener("keydown", (event) => {
    if (WAYS[event.key]) {
      say(step(WAYS[event.key]));
      if (hover >= 0) spoken.textContent = `${about(hover)}. ${data.text[hover]}`;
    } else if (event.key === "Enter" || event.key === " ") {
      pinAt(hover === pin ? -1 : hover);
    } else if (event.key === "Escape") {
      say(-1);
      pinAt(-1);
    } else if (event.key === "+" || event.key === "=") {
      zoom(1.5, 0.5, 0.5);
    } else if (event.key === "-") {
      zoom(1 / 1.5, 0.5, 0.5);
    } else {
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => say(-1));
  document.getElementById("map-in").addEventListener("click", () => zoom(1.5, 0.5, 0.5));
  document.getElementById("map-out").addEventListener("click", () => zoom(1 / 1.5, 0.5, 0.5));

  function explain() {
    legend.replaceChildren();
    const counts = new Map();
    for (let one = 0; one < n; one++) counts.set(groupOf(one), (counts.get(groupOf(one)) || 0) + 1);
    for (const [group, count] of [...counts].sort((a, b) => a[0] - b[0])) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(group)));
      const dot = document.createElement("i");
      dot.style.background = colour(group);
      const title = group < 0 ? "other" : namesOf()[group] || "(none)";
      button.append(dot, `${title} ${count.toLocaleString("en")}`);
      button.addEventListener("click", () => {
        if (hidden.has(group)) hidden.delete(group); else hidden.add(group);
        button.setAttribute("aria-pressed", String(!hidden.has(group)));
        if (pin >= 0 && !shown(pin)) pinAt(-1);
        paint();
      });
      legend.append(button);
    }
  }
  colouring.addEventListener("change", () => { by = colouring.value; hidden.clear(); explain(); paint(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { explain(); paint(); });
  new ResizeObserver(paint).observe(canvas);
  explain();
  paint();
})();
