/* A graph in layers, and long graphs cut into regions of consecutive layers: whatever the names
   are, regions made so can't be on a cycle, and take time linear in nodes and edges. */
const REGION_FROM = 300; // nodes; shorter graphs are shown whole

/** Edges by position, and the layer of each node. */
function layered(nodes) {
  const producer = new Map();
  nodes.forEach((node, at) => node.outputs.forEach((name) => producer.set(name, at)));
  const before = nodes.map((node) => [
    ...new Set(node.inputs.map((name) => producer.get(name)).filter((at) => at !== undefined)),
  ]);
  const after = nodes.map(() => []);
  before.forEach((sources, at) => sources.forEach((source) => after[source].push(at)));
  const layer = new Int32Array(nodes.length);
  const fed = nodes.map((node) => node.kind === "input");
  const order = topological(before, after);
  for (const at of order) {
    for (const source of before[at]) {
      layer[at] = Math.max(layer[at], layer[source] + 1);
      fed[at] ||= fed[source];
    }
  }
  // What only constants feed stands just above its user, not at the top of the page.
  for (const at of order.toReversed()) {
    if (!fed[at] && after[at].length) {
      layer[at] = Math.min(...after[at].map((user) => layer[user])) - 1;
    }
  }
  // One constant for many users would draw a line to each across the whole graph.
  const shown = before.map((sources, at) => sources.filter((source) => before[source].length || nodes[source].kind === "input" || layer[at] === layer[source] + 1));
  return { nodes, before: shown, fed, layer, order };
}

function topological(before, after) {
  const waiting = before.map((sources) => sources.length);
  const order = [];
  waiting.forEach((count, at) => count === 0 && order.push(at));
  for (let next = 0; next < order.length; next += 1) {
    for (const user of after[order[next]]) {
      waiting[user] -= 1;
      if (waiting[user] === 0) order.push(user);
    }
  }
  return order;
}

/** The region of each node, numbered from 0, and how many there are; one where it is short. */
function regions({ nodes, before, layer }) {
  const region = new Int32Array(nodes.length);
  if (nodes.length <= REGION_FROM) return { region, count: 1 };
  const depth = layer.reduce((most, each) => Math.max(most, each), 0) + 1;
  const size = new Int32Array(depth);
  const crossing = new Int32Array(depth + 1); // edges from above a layer to it or below
  layer.forEach((each, at) => {
    size[each] += 1;
    for (const source of before[at]) {
      crossing[layer[source] + 1] += 1;
      crossing[each + 1] -= 1;
    }
  });
  for (let at = 1; at <= depth; at += 1) crossing[at] += crossing[at - 1];
  const wanted = Math.max(20, Math.round(Math.sqrt(nodes.length)));
  const starts = cuts(size, crossing, wanted);
  const ofLayer = new Int32Array(depth);
  starts.forEach((start) => (ofLayer[start] += 1));
  for (let at = 1; at < depth; at += 1) ofLayer[at] += ofLayer[at - 1];
  layer.forEach((each, at) => (region[at] = ofLayer[each]));
  return { region, count: starts.length + 1 };
}

/** The layers that begin a region: where the fewest edges cross, about every `wanted` nodes. */
function cuts(size, crossing, wanted) {
  const starts = [];
  let held = 0;
  let best = -1;
  let heldAtBest = 0;
  for (let at = 1; at < size.length; at += 1) {
    held += size[at - 1];
    const off = Math.abs(held - wanted);
    const fewer = best < 0 || crossing[at] < crossing[best];
    if (held >= wanted / 2 && (fewer || (crossing[at] === crossing[best] && off < Math.abs(heldAtBest - wanted)))) {
      [best, heldAtBest] = [at, held];
    }
    if (held + size[at] > wanted * 1.5 && best >= 0) {
      starts.push(best);
      held -= heldAtBest;
      best = -1;
    }
  }
  return starts;
}
