/** Section: the models in use, and what a change to others would need. */

import { formatCount } from "../js/format.js";
import { definitions, element, sectionHeader, table } from "./elements.js";
import { get } from "./http.js";
import { showLoaded } from "./messages.js";

/** @param {HTMLElement} view */
export function showModels(view) {
  const content = element("div", { class: "stack" });
  view.append(sectionHeader("Models", "The settings MODELS, DETECTOR and EMBEDDER choose them."), content);
  void showLoaded(content, async () => models((await get("models")).data));
}

function models({ detector, garments, current, others }) {
  const lacks = current.garments_without_vector;
  return [
    lacks > 0 && element("p", { class: "notice attention" }, `Searches do not find ${formatCount(lacks, "garment")} without a vector of this embedder. Run `, element("code", { text: current.command }), "."),
    definitions([
      ["Detector", element("code", { text: detector })],
      ["Embedder", element("code", { text: current.name })],
      ["Length of vectors", String(current.dim)],
      ["Garments", garments.toLocaleString("en")],
      ["Without a vector", lacks.toLocaleString("en")],
    ]),
    element("h3", { text: "A change to another embedder" }),
    element("p", {
      text: "Every garment needs a vector of the new embedder first. The command computes them while searches go on; then set MODELS and EMBEDDER, and restart.",
    }),
    table(
      "Other embedders",
      ["Embedder", "Settings", "Garments without a vector", "Command"],
      others.map((one) => [
        element("code", { text: one.name }),
        element("code", { text: `MODELS=${one.models}${one.embedder ? ` EMBEDDER=${one.embedder}` : ""}` }),
        `${one.garments_without_vector.toLocaleString("en")} of ${garments.toLocaleString("en")}`,
        element("code", { text: one.command }),
      ]),
    ),
  ].filter(Boolean);
}
