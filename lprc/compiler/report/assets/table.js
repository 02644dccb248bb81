/* The layers of the lowered graph: sorted, filtered, a page at a time. */
const PAGE = 100;

class LayerTable {
  constructor(section) {
    this.body = section.querySelector("tbody");
    this.filter = section.querySelector("input");
    this.place = section.querySelector("output");
    this.headers = [...section.querySelectorAll("th")];
    this.rows = doc.layers.map((row) => row.map((cell) => (Array.isArray(cell) ? text(cell[0]) : cell)));
    this.page = 0;
    this.order = { column: null, down: false };
    this.filter.addEventListener("input", () => this.update(0));
    section.querySelector("[data-step='-1']").addEventListener("click", () => this.update(this.page - 1));
    section.querySelector("[data-step='1']").addEventListener("click", () => this.update(this.page + 1));
    this.headers.forEach((header, column) => {
      header.querySelector("button").addEventListener("click", () => this.sort(column));
    });
    this.update(0);
  }

  sort(column) {
    const down = this.order.column === column ? !this.order.down : this.headers[column].classList.contains("number");
    this.order = { column, down };
    this.headers.forEach((header) => header.removeAttribute("aria-sort"));
    this.headers[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    this.update(0);
  }

  chosen() {
    const wanted = this.filter.value.trim().toLowerCase();
    const rows = this.rows.filter((row) => row.some((cell) => typeof cell === "string" && cell.toLowerCase().includes(wanted)));
    const { column, down } = this.order;
    if (column === null) return rows;
    // What was not measured stands last either way.
    const empty = (value) => value === null || value === "";
    return rows.sort(({ [column]: one }, { [column]: other }) => {
      if (empty(one) || empty(other)) return empty(one) - empty(other);
      return (one < other ? -1 : one > other ? 1 : 0) * (down ? -1 : 1);
    });
  }

  update(page) {
    const rows = this.chosen();
    const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
    this.page = Math.min(Math.max(page, 0), last);
    const from = this.page * PAGE;
    const shown = rows.slice(from, from + PAGE);
    this.body.replaceChildren(...shown.map((row) => this.line(row)));
    this.place.textContent = rows.length ? `${from + 1} to ${from + shown.length} of ${rows.length}` : "none";
  }

  line(row) {
    return element("tr", {}, ...row.map((cell, column) => {
      const number = this.headers[column].classList.contains("number");
      const shown = cell === null ? "" : typeof cell === "number" ? cell.toLocaleString("en", { maximumFractionDigits: 2 }) : cell;
      return column === 0
        ? element("th", { scope: "row" }, shown)
        : element("td", number ? { class: "number" } : {}, shown);
    }));
  }
}
