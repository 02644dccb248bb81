/* The shapes that a graph is drawn with. */

/** The end of a name is what tells it from its neighbours. */
const shorten = (name, most) => (name.length <= most ? name : `…${name.slice(1 - most)}`);

function statusCounts(members, status) {
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const at of members) if (status[at] in counts) counts[status[at]] += 1;
  return counts;
}

const countText = (counts) =>
  Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${MARKS[name]}${count}`).join(" ");

/** What stands in a box: two lines, a mark, and classes. */
function label(item, view) {
  if (item.node) {
    const status = view.status[item.at];
    const { kind, op, name } = item.node;
    return { first: shorten(op, 18), second: shorten(name, 23), mark: MARKS[status] ?? "", classes: `${kind} ${status}` };
  }
  const counts = statusCounts(item.members, view.status);
  const changed = Object.values(counts).some(Boolean);
  return {
    first: `▸ region ${item.region + 1}: ${item.members.length} nodes`,
    second: commonOperators(item.members, view.graph.nodes).slice(0, 38),
    mark: countText(counts),
    classes: `region ${changed ? "changed" : "same"}`,
  };
}

function commonOperators(members, nodes) {
  const counts = new Map();
  members.forEach((at) => counts.set(nodes[at].op, (counts.get(nodes[at].op) ?? 0) + 1));
  const most = [...counts].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)).slice(0, 3);
  return most.map(([op, count]) => `${count} ${op}`).join(", ");
}

function drawItem(item, view) {
  const { first, second, mark, classes } = label(item, view);
  const [w, h] = [item.width, BOX.height];
  const made = drawing("g", {
    class: `item ${classes}${item === view.selected ? " selected" : ""}`,
    transform: `translate(${item.x - w / 2} ${item.y - h / 2})`,
  });
  const round = item.node && item.node.kind !== "node" ? h / 2 : 6;
  made.append(
    drawing("rect", { width: w, height: h, rx: round }),
    drawing("text", { x: 12, y: 17, class: "operator" }, first),
    drawing("text", { x: 12, y: 32, class: "name" }, second),
    drawing("text", { x: w - 10, y: 17, class: "mark" }, mark),
  );
  made.addEventListener("click", () => view.select(item));
  made.addEventListener("dblclick", () => !item.node && view.setOpen(item.region, true));
  return made;
}

/** All boxes of one colour as one path: thousands of them stay cheap. */
function drawFar(items, view) {
  const paths = { same: "", added: "", removed: "", changed: "", selected: "" };
  for (const item of items) {
    const status = item === view.selected ? "selected" : item.node ? view.status[item.at] : view.isChanged(item) ? "changed" : "same";
    const h = BOX.height;
    paths[status] += `M${Math.round(item.x - item.width / 2)} ${Math.round(item.y - h / 2)}h${item.width}v${h}h${-item.width}z`;
  }
  return Object.entries(paths).map(([status, d]) => drawing("path", { class: `far ${status}`, d }));
}

function drawEdges(edges, { top, bottom }, curved, classes = "edges") {
  const half = BOX.height / 2;
  let d = "";
  for (const { from, to, path } of edges) {
    if (to.y < top || from.y > bottom) continue;
    let [x, y] = [path[0].x, path[0].y + half];
    d += `M${Math.round(x)} ${Math.round(y)}`;
    for (const next of path.slice(1)) {
      const [toX, toY] = [next.x, next.y - half];
      const pull = Math.min(60, (toY - y) / 2);
      d += curved && Math.abs(toX - x) > 1
        ? `C${Math.round(x)} ${Math.round(y + pull)} ${Math.round(toX)} ${Math.round(toY - pull)} ${Math.round(toX)} ${Math.round(toY)}`
        : `L${Math.round(toX)} ${Math.round(toY)}`;
      [x, y] = [toX, next.bend ? next.y + half : toY];
      if (next.bend) d += `L${Math.round(x)} ${Math.round(y)}`;
    }
  }
  return drawing("path", { class: classes, d });
}

function drawFrame({ region, left, right, top, bottom }, view) {
  const made = drawing("g", { class: "frame" });
  const title = drawing("text", { x: left - 8, y: top - BOX.height / 2 - 11 }, `▾ region ${region + 1}`);
  made.append(
    drawing("rect", { x: left - 14, y: top - BOX.height / 2 - 27, width: right - left + 28, height: bottom - top + BOX.height + 36, rx: 10 }),
    title,
  );
  title.addEventListener("click", () => view.setOpen(region, false));
  return made;
}
