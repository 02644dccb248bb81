/* Where things stand: rows from the layers, order by the mean of the neighbours (Sugiyama, Tagawa
   and Toda, 1981), places by isotonic regression (pool adjacent violators). */
const BOX = { width: 178, height: 40, gapX: 22, gapY: 34 };
const BEND = 14; // the width that an edge takes where it passes a row
const MOST_BENDS = 20000;

/**
 * What is drawn: nodes of open regions, one box for each closed one.
 * Each item: {node | region, row, x, y, width, weight, ups, downs}; edges: lists of items to run
 * through. What weighs more stands straighter: long edges before nodes, nodes before constants.
 */
function arrange(graph, { region, count }, open) {
  const items = [];
  const itemOf = new Array(graph.nodes.length);
  const members = Array.from({ length: count }, () => []);
  graph.order.forEach((at) => members[region[at]].push(at));
  let row = 0;
  members.forEach((inside, number) => {
    if (count > 1 && !open.has(number)) {
      const item = { region: number, members: inside, row, width: BOX.width * 1.5, weight: 1 };
      items.push(item);
      inside.forEach((at) => (itemOf[at] = item));
      row += 1;
      return;
    }
    const first = inside.reduce((least, at) => Math.min(least, graph.layer[at]), Infinity);
    let last = row;
    for (const at of inside) {
      const item = { node: graph.nodes[at], at, inside: number, row: row + graph.layer[at] - first, width: BOX.width, weight: graph.fed[at] ? 1 : 0.05 };
      last = Math.max(last, item.row);
      items.push(item);
      itemOf[at] = item;
    }
    row = last + 1;
  });
  const edges = connect(graph, itemOf, items);
  const rows = Array.from({ length: row }, () => []);
  edges.forEach(({ path }) => path.slice(1, -1).forEach((bend) => rows[bend.row].push(bend)));
  items.forEach((item) => rows[item.row].push(item));
  place(rows);
  return { items, itemOf, edges, rows };
}

/** One edge for each pair of items, bent once in each row that it passes. */
function connect(graph, itemOf, items) {
  [...items].forEach((item) => Object.assign(item, { ups: [], downs: [] }));
  const edges = [];
  const known = new Map();
  let bends = 0;
  graph.order.forEach((at) => {
    for (const source of graph.before[at]) {
      const [from, to] = [itemOf[source], itemOf[at]];
      if (from === to) continue;
      const users = known.get(from) ?? known.set(from, new Set()).get(from);
      if (users.has(to)) continue;
      users.add(to);
      const path = [from];
      if (bends + to.row - from.row < MOST_BENDS) {
        for (let row = from.row + 1; row < to.row; row += 1) {
          path.push({ row, width: BEND, bend: true, weight: 2, ups: [], downs: [] });
          bends += 1;
        }
      }
      path.push(to);
      for (let index = 1; index < path.length; index += 1) {
        path[index - 1].downs.push(path[index]);
        path[index].ups.push(path[index - 1]);
      }
      edges.push({ from, to, path });
    }
  });
  return edges;
}

function place(rows) {
  rows.forEach((row, number) => {
    let x = 0;
    for (const item of row) {
      item.x = x + item.width / 2;
      item.y = number * (BOX.height + BOX.gapY);
      x += item.width + BOX.gapX;
    }
    row.forEach((item) => (item.x -= x / 2));
  });
  for (let sweep = 0; sweep < 4; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      row.forEach((item) => (item.key = mean(down ? item.ups : item.downs, item.x)));
      row.sort((one, other) => one.key - other.key);
      settle(row, (item) => item.key);
    }
  }
  for (let sweep = 0; sweep < 6; sweep += 1) {
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      settle(row, (item) => mean(item.ups.concat(item.downs), item.x));
    }
  }
}

function mean(neighbours, otherwise) {
  if (!neighbours.length) return otherwise;
  let [sum, weight] = [0, 0];
  for (const item of neighbours) {
    sum += item.weight * item.x;
    weight += item.weight;
  }
  return sum / weight;
}

/** The places nearest to the wanted ones (least squares) that keep the order and the gaps. */
function settle(row, wanted) {
  let offset = 0;
  const blocks = [];
  const offsets = row.map((item, index) => {
    if (index) offset += (row[index - 1].width + item.width) / 2 + BOX.gapX;
    return offset;
  });
  row.forEach((item, index) => {
    const { weight } = item;
    let block = { sum: weight * (wanted(item) - offsets[index]), weight, length: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).weight > block.sum / block.weight) {
      const other = blocks.pop();
      block = { sum: other.sum + block.sum, weight: other.weight + block.weight, length: other.length + block.length };
    }
    blocks.push(block);
  });
  let index = 0;
  for (const block of blocks) {
    for (let left = block.length; left > 0; left -= 1, index += 1) {
      row[index].x = block.sum / block.weight + offsets[index];
    }
  }
}
