/* Finding nodes of both graphs by name, operator or origin. */
const MOST_FOUND = 40;

function addSearch(comparison) {
  const field = document.getElementById("search");
  const results = document.getElementById("search-results");
  const find = () => {
    const wanted = field.value.trim().toLowerCase();
    if (!wanted) {
      results.replaceChildren();
      return;
    }
    const found = matches(comparison.views, wanted);
    const shown = found.slice(0, MOST_FOUND).map(({ view, node, side }) => {
      const button = element("button", { type: "button" }, `${node.op} ${node.name}`, element("span", { class: "muted" }, ` ${side}`));
      button.addEventListener("click", () => choose(view, node));
      return element("li", {}, button);
    });
    const more = found.length - shown.length;
    results.replaceChildren(...shown, ...(more > 0 ? [element("li", { class: "muted" }, `and ${more} more`)] : []));
    announce(`${found.length} found`);
  };
  field.addEventListener("input", find);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") results.querySelector("button")?.click();
    if (event.key === "Escape") {
      field.value = "";
      find();
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}

function choose(view, node) {
  view.select(view.reveal(node));
}

/** Nodes of the graph after, and those that are in the graph before only; names before origins. */
function matches([before, after], wanted) {
  const fits = ({ name, op, origins }) => [name, op, ...origins].some((each) => each.toLowerCase().includes(wanted));
  const later = after.graph.nodes.filter(fits);
  const names = new Set(later.map(({ name }) => name));
  const earlier = before.graph.nodes.filter((node) => fits(node) && !names.has(node.name));
  const rank = ({ node: { name, op } }) => {
    if (name.toLowerCase() === wanted) return 0;
    return name.toLowerCase().includes(wanted) ? 1 : op.toLowerCase().includes(wanted) ? 2 : 3;
  };
  const found = [
    ...later.map((node) => ({ view: after, node, side: "after" })),
    ...earlier.map((node) => ({ view: before, node, side: "before" })),
  ];
  return found.sort((one, other) => rank(one) - rank(other));
}
