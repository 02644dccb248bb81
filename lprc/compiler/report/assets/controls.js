/* Mouse, keys and buttons of one graph. */
const PAN = 60;

function addControls(view) {
  const { svg, pane } = view;
  let drag = null;
  svg.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag || !(event.buttons & 1)) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(x, y) < 4) return;
    if (!drag.moved) svg.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, moved: true };
    view.pan(x, y);
  });
  svg.addEventListener("pointerup", () => (drag = null));
  svg.addEventListener("wheel", (event) => {
    // A page must scroll past a graph that nobody has chosen.
    if (document.activeElement !== svg && !event.ctrlKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    view.zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act(view);
  });
  pane.querySelectorAll("button[data-key]").forEach((button) => {
    button.addEventListener("click", () => KEYS[button.dataset.key](view));
  });
}

const KEYS = {
  ArrowLeft: (view) => view.pan(PAN, 0),
  ArrowRight: (view) => view.pan(-PAN, 0),
  ArrowUp: (view) => view.pan(0, PAN),
  ArrowDown: (view) => view.pan(0, -PAN),
  "+": (view) => view.zoom(1.25),
  "=": (view) => view.zoom(1.25),
  "-": (view) => view.zoom(0.8),
  0: (view) => view.fit(),
  j: (view) => go(view, 1),
  k: (view) => go(view, -1),
  n: (view) => go(view, 1, (item) => view.isChanged(item)),
  p: (view) => go(view, -1, (item) => view.isChanged(item)),
  o: (view) => view.setAllOpen(true),
  c: (view) => view.setAllOpen(false),
  Enter: (view) => toggle(view),
  " ": (view) => toggle(view),
};

function go(view, step, wanted) {
  const item = view.neighbour(step, wanted);
  if (!item) {
    announce("nothing changed here");
    return;
  }
  view.centre(item);
  view.select(item);
}

/** Open the chosen region, or close the one around the chosen node. */
function toggle(view) {
  const { selected } = view;
  if (!selected) return;
  if (selected.node) {
    const region = selected.inside;
    view.selected = null;
    view.setOpen(region, false);
  } else {
    view.setOpen(selected.region, true);
  }
  if (view.selected) view.select(view.selected);
}
