/** What the shop does when a customer chooses a match: a real one would count it, or open its own page of the product. */

for (const widget of document.querySelectorAll("lookalike-search")) {
  widget.addEventListener("lookalike-select", ({ detail: { match } }) => {
    document.getElementById("last-choice").textContent = `You looked at ${match.details?.product_name ?? match.label}.`;
  });
}
