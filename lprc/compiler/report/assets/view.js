/* One graph on screen: what is in view is drawn, at the level of detail that can be read. */
const READABLE = 0.33; // the scale below which boxes have no text
const MARKS = { added: "+", removed: "−", changed: "~" };

class GraphView {
  /** `pane` holds an svg; `onSelect(item)` is called when the user chooses something. */
  constructor(pane, onSelect) {
    this.pane = pane;
    this.svg = pane.querySelector("svg");
    this.onSelect = onSelect;
    this.view = { x: 0, y: 0, k: 1 };
    this.root = drawing("g");
    this.svg.append(this.root);
    this.selected = null;
    new ResizeObserver(() => this.schedule()).observe(this.svg);
  }

  /** Draw `nodes`; `statusOf(node)` is added, removed, changed or same. */
  show(nodes, statusOf) {
    this.graph = layered(nodes);
    this.parts = regions(this.graph);
    this.status = this.graph.nodes.map(statusOf);
    this.open = new Set();
    this.selected = null;
    this.relayout();
    this.fit();
  }

  relayout() {
    Object.assign(this, arrange(this.graph, this.parts, this.open));
    this.frames = this.parts.count > 1 ? this.framesOf() : [];
    this.drawn = null;
    this.schedule();
  }

  /** The boxes around open regions. */
  framesOf() {
    const frames = new Map();
    for (const item of this.items.filter(({ node }) => node)) {
      const box = frames.get(item.inside) ?? { region: item.inside, left: Infinity, right: -Infinity, top: item.y, bottom: item.y };
      box.left = Math.min(box.left, item.x - item.width / 2);
      box.right = Math.max(box.right, item.x + item.width / 2);
      box.top = Math.min(box.top, item.y);
      box.bottom = Math.max(box.bottom, item.y);
      frames.set(item.inside, box);
    }
    return [...frames.values()];
  }

  setOpen(region, open) {
    if (this.parts.count === 1 || this.open.has(region) === open) return;
    if (open) this.open.add(region);
    else this.open.delete(region);
    const kept = this.selected?.node ?? null;
    this.relayout();
    this.selected = kept ? this.itemOf[this.graph.nodes.indexOf(kept)] : this.itemOf[this.graph.order.find((at) => this.parts.region[at] === region)];
    this.centre(this.selected);
  }

  setAllOpen(open) {
    this.open = new Set(open ? Array.from({ length: this.parts.count }, (_, number) => number) : []);
    this.selected = null;
    this.relayout();
    this.fit();
  }

  /** Put `node` in the middle, opening its region. */
  reveal(node) {
    const at = this.graph.nodes.indexOf(node);
    if (at < 0) return null;
    if (this.parts.count > 1 && !this.open.has(this.parts.region[at])) {
      this.open.add(this.parts.region[at]);
      this.relayout();
    }
    this.selected = this.itemOf[at];
    this.centre(this.selected);
    return this.selected;
  }

  /** The item `step` places further from top to bottom, of those that `wanted` holds for. */
  neighbour(step, wanted = () => true) {
    const order = this.items.filter(wanted).sort((one, other) => this.rank(one) - this.rank(other));
    if (!order.length) return null;
    const known = order.indexOf(this.selected);
    if (known >= 0) return order[(known + step + order.length) % order.length];
    const from = this.selected ? this.rank(this.selected) : -Infinity;
    const next = order.findIndex((item) => this.rank(item) > from);
    if (step > 0) return order[Math.max(next, 0)];
    return order.at(next < 0 ? -1 : next - 1);
  }

  rank(item) {
    return item.row * 1e6 + item.x;
  }

  isChanged(item) {
    return (item.node ? [item.at] : item.members).some((at) => this.status[at] !== "same");
  }

  select(item) {
    this.selected = item;
    this.drawn = null;
    this.schedule();
    this.onSelect(item, this);
  }

  size() {
    return { width: this.svg.clientWidth, height: this.svg.clientHeight };
  }

  /** The whole graph where it stays readable; else its top in its whole width, if that is. */
  fit() {
    const { width, height } = this.size();
    const left = Math.min(...this.items.map((item) => item.x - item.width / 2));
    const right = Math.max(...this.items.map((item) => item.x + item.width / 2));
    const tall = this.rows.length * (BOX.height + BOX.gapY);
    const wide = width / (right - left + 40);
    const whole = Math.min(wide, height / tall);
    const k = Math.min(1, Math.max(whole, Math.min(wide, 0.7), READABLE));
    const top = whole >= k ? (height - tall * k) / 2 : 16;
    const first = this.rows[0]?.[0]?.x ?? 0;
    const middle = k <= wide ? (left + right) / 2 : first;
    this.moveTo({ k, x: width / 2 - middle * k, y: top + (BOX.height / 2) * k });
  }

  centre(item) {
    const { width, height } = this.size();
    const k = Math.max(this.view.k, 0.75);
    this.moveTo({ k, x: width / 2 - item.x * k, y: height / 2 - item.y * k });
  }

  pan(x, y) {
    this.moveTo({ ...this.view, x: this.view.x + x, y: this.view.y + y });
  }

  zoom(factor, x = this.size().width / 2, y = this.size().height / 2) {
    const k = Math.min(3, Math.max(0.01, this.view.k * factor));
    const ratio = k / this.view.k;
    this.moveTo({ k, x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio });
  }

  moveTo(view) {
    this.view = view;
    this.schedule();
  }

  schedule() {
    if (this.pending || !this.items) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.render();
    });
  }

  /** What can be seen, in the graph's own units. */
  visible(margin) {
    const { width, height } = this.size();
    const { x, y, k } = this.view;
    const [w, h] = [width / k, height / k];
    return { left: -x / k - w * margin, right: -x / k + w * (1 + margin), top: -y / k - h * margin, bottom: -y / k + h * (1 + margin) };
  }

  render() {
    const { x, y, k } = this.view;
    this.root.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
    const now = this.visible(0);
    const readable = k >= READABLE;
    const held = this.drawn;
    const enough = held && held.readable === readable && held.zoom / k < 2 && k / held.zoom < 2 &&
      held.left <= now.left && held.right >= now.right && held.top <= now.top && held.bottom >= now.bottom;
    if (enough) return;
    const box = this.visible(0.6);
    this.drawn = { ...box, readable, zoom: k };
    const within = this.rowsWithin(box);
    const shown = within.filter((item) => !item.bend && item.x + item.width / 2 >= box.left && item.x - item.width / 2 <= box.right);
    this.root.replaceChildren(
      ...this.frames.filter((frame) => frame.bottom >= box.top && frame.top <= box.bottom).map((frame) => drawFrame(frame, this)),
      drawEdges(this.edges, box, readable),
      ...(this.selected ? [drawEdges(this.edges.filter(({ from, to }) => from === this.selected || to === this.selected), box, true, "edges chosen")] : []),
      ...(readable ? shown.map((item) => drawItem(item, this)) : drawFar(shown, this)),
    );
  }

  rowsWithin({ top, bottom }) {
    const step = BOX.height + BOX.gapY;
    const [from, to] = [Math.max(0, Math.floor(top / step) - 1), Math.ceil(bottom / step) + 2];
    return this.rows.slice(from, to).flat();
  }
}
