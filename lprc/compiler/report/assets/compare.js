/* Two graphs side by side, coloured by what the passes between them did. */
class Comparison {
  constructor(section) {
    this.section = section;
    this.details = document.getElementById("node-details");
    this.views = ["before", "after"].map(
      (side) => new GraphView(document.getElementById(`pane-${side}`), (item, view) => this.chosen(item, view)),
    );
    this.views.forEach(addControls);
    this.choice = document.getElementById("pair");
    doc.pairs.forEach((pair, number) => this.choice.append(element("option", { value: number }, text(pair.label))));
    this.choice.addEventListener("change", () => this.show(Number(this.choice.value)));
    document.querySelectorAll("[data-pair]").forEach((link) => {
      link.addEventListener("click", () => this.show(Number(link.dataset.pair)));
    });
    this.show(0);
  }

  show(number) {
    const pair = doc.pairs[number];
    this.pair = pair;
    this.choice.value = number;
    const [removed, added] = [new Set(pair.removed), new Set(pair.added)];
    this.notes = new Map();
    this.counterpart = [new Map(), new Map()];
    const changed = [new Set(), new Set()];
    pair.changed.forEach(([left, right, note]) => {
      changed[0].add(left);
      changed[1].add(right);
      this.notes.set(left, text(note)).set(right, text(note));
    });
    [...pair.changed, ...pair.moved].forEach(([left, right]) => {
      this.counterpart[0].set(left, right);
      this.counterpart[1].set(right, left);
    });
    const status = [
      ({ id }) => (removed.has(id) ? "removed" : changed[0].has(id) ? "changed" : "same"),
      ({ id }) => (added.has(id) ? "added" : changed[1].has(id) ? "changed" : "same"),
    ];
    [pair.left, pair.right].forEach((graph, side) => {
      const nodes = graphNodes(graph);
      this.views[side].show(nodes, status[side]);
      const count = nodes.filter(({ kind }) => kind === "node").length;
      const title = this.views[side].pane.querySelector("h3");
      title.textContent = `${side ? "After" : "Before"}: ${text(pair.titles[side])}, ${count} nodes`;
    });
    const counts = { added: added.size, removed: removed.size, changed: pair.changed.length };
    document.getElementById("pair-counts").replaceChildren(
      ...Object.entries(counts).map(([name, count]) => element("span", {}, `${MARKS[name]} ${count} ${name} `)),
    );
    this.details.replaceChildren(element("p", {}, "Choose a node to see what it is and which passes touched it."));
  }

  /** The user chose something in `view`: describe it, and show it in the other graph. */
  chosen(item, view) {
    const side = this.views.indexOf(view);
    const other = this.views[1 - side];
    if (!item.node) {
      announce(`region ${item.region + 1}, ${item.members.length} nodes, ${countText(statusCounts(item.members, view.status)) || "unchanged"}`);
      this.describeRegion(item, view);
      return;
    }
    const wanted = this.counterpart[side].get(item.node.id) ?? item.node.id;
    const node = other.graph.nodes.find(({ id }) => id === wanted);
    if (node) other.reveal(node);
    else other.selected = null;
    other.drawn = null;
    other.schedule();
    const status = view.status[item.at];
    announce(`${item.node.op} ${item.node.name}, ${status === "same" ? "unchanged" : status}`);
    this.describe(item.node, status, node);
  }

  describe(node, status, other) {
    const list = element("dl");
    const row = (term, values) => {
      const shown = values.filter(Boolean);
      if (!shown.length) return;
      list.append(element("dt", {}, term), ...shown.map((value) => element("dd", {}, value)));
    };
    row("status", [status === "same" ? "unchanged" : status]);
    row("what changed", [this.notes.get(node.id)]);
    row("called on the other side", other && other.name !== node.name ? [other.name] : []);
    row("inputs", [node.inputs.join(", ")]);
    row("outputs", node.outputs.map((name, at) => `${name}: ${node.types[at] ?? "?"}`));
    row("attributes", [node.attributes]);
    row("weights", node.weights);
    row("from", [node.origins.filter((name) => name !== node.name).join(", ")]);
    row("passes", eventsOf(node));
    this.details.replaceChildren(element("h3", {}, `${node.op} `, element("code", {}, node.name)), list);
  }

  describeRegion(item, view) {
    const touched = item.members.filter((at) => view.status[at] !== "same").slice(0, 50);
    const names = touched.map((at) => {
      const { op, name } = view.graph.nodes[at];
      const button = element("button", { type: "button" }, `${MARKS[view.status[at]]} ${op} ${name}`);
      button.addEventListener("click", () => view.select(view.reveal(view.graph.nodes[at])));
      return element("li", {}, button);
    });
    this.details.replaceChildren(
      element("h3", {}, `Region ${item.region + 1}: ${item.members.length} nodes`),
      element("p", {}, commonOperators(item.members, view.graph.nodes)),
      element("ul", { class: "plain" }, ...names),
    );
  }
}

/** What passes did to a node or to what it came from, a line each. */
function eventsOf(node) {
  const names = new Set([node.name, ...node.origins]);
  return doc.events
    .filter(([, name]) => names.has(text(name)))
    .map(([pass, name, skipped, note]) => {
      const at = text(name) === node.name ? "" : ` (${text(name)})`;
      return `${text(doc.passes[pass])}: ${skipped ? "left alone, " : ""}${text(note)}${at}`;
    });
}
