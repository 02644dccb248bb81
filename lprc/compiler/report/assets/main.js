/* Everything that the page needs a script for. */
addSearch(new Comparison(document.getElementById("graphs")));
if (doc.layers.length) new LayerTable(document.getElementById("layers"));
document.documentElement.dataset.ready = "true";
