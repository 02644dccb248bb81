/* What the page was given. Texts are numbers into doc.strings; a graph is written as what it
   adds to the one before and what it takes away. Names come from other people's models: they
   reach the page through textContent only. */
const doc = JSON.parse(document.getElementById("report-data").textContent);
const text = (number) => doc.strings[number];
const texts = (numbers) => numbers.map(text);

const nodeCache = new Map();

/** The node with this number, spelt out. */
function nodeAt(id) {
  let node = nodeCache.get(id);
  if (node === undefined) {
    const [name, op, attributes, inputs, outputs, types, origins, weights] = doc.nodes[id];
    node = {
      id,
      kind: "node",
      name: text(name),
      op: text(op),
      attributes: text(attributes),
      inputs: texts(inputs),
      outputs: texts(outputs),
      types: texts(types),
      origins: texts(origins),
      weights: texts(weights),
    };
    nodeCache.set(id, node);
  }
  return node;
}

/** An input or output of a graph, drawn as a node. */
function portNode([name, type], kind) {
  const value = text(name);
  const ends = kind === "input" ? { inputs: [], outputs: [value] } : { inputs: [value], outputs: [] };
  return {
    id: `${kind} ${value}`, kind, name: value, op: kind, attributes: "", types: [text(type)],
    origins: [], weights: [], ...ends,
  };
}

/** The nodes of graph `index`, its inputs first and its outputs last. */
function graphNodes(index) {
  const present = new Set();
  for (const graph of doc.graphs.slice(0, index + 1)) {
    graph.removed.forEach((id) => present.delete(id));
    graph.added.forEach((id) => present.add(id));
  }
  const graph = doc.graphs[index];
  return [
    ...graph.inputs.map((port) => portNode(port, "input")),
    ...[...present].map(nodeAt),
    ...graph.outputs.map((port) => portNode(port, "output")),
  ];
}

/** An element with attributes and children; texts become text nodes. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The same in SVG. */
function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const announce = (message) => {
  document.getElementById("announcer").textContent = message;
};
