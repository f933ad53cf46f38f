/** A garment: its label and box, its product details, and deletion. */

import { formatPercent } from "../js/format.js";
import { BoxEditor } from "./box-editor.js";
import { detailsForm } from "./details-form.js";
import { button, definitions, element, field, sectionHeader } from "./elements.js";
import { get, loadImage, post, put, remove } from "./http.js";
import { announce, confirmAction, errorNotice, receiptNotice, runAction, showLoaded } from "./messages.js";

const LABELS = ["top", "outerwear", "dress", "trousers", "shorts", "skirt", "shoes", "bag", "hat", "scarf"];

/**
 * Show a garment in an element.
 * @param {HTMLElement} view
 * @param {string} name
 */
export function showGarment(view, name) {
  const images = [];
  void showLoaded(view, async () => {
    const { data: garment } = await get(`splitted_images/${encodeURIComponent(name)}`);
    const { data: siblings } = await get(`splitted_images/by_original/${encodeURIComponent(garment.original_image_id)}`);
    return await garmentParts(garment, siblings, view, images);
  });
  return () => images.forEach((address) => URL.revokeObjectURL(address));
}

async function garmentParts(garment, siblings, view, images) {
  const load = async (path) => images[images.push(await loadImage(path)) - 1];
  const cutOut = element("img", { class: "cut-out", alt: "The cut-out" });
  const showCutOut = async () => (cutOut.src = await load(`thumbnails/${garment.id}?of=${Date.now()}`));
  const [photo] = await Promise.all([editorOfBox(garment, siblings, load, showCutOut), showCutOut()]);
  const back = element("a", { href: "#garments", text: "All garments" });
  return [
    sectionHeader(garment.splitted_image_id, `Garment ${garment.id} of the photo ${garment.original_image_id}`, back),
    element("div", { class: "editor" }, photo, element("div", { class: "stack" }, cutOut, labelForm(garment), facts(garment, siblings), deletion(garment, siblings, view))),
    element("h3", { text: "Product details" }),
    await details(garment),
  ];
}

async function editorOfBox(garment, siblings, load, onRecut) {
  let address;
  try {
    address = await load(`originals/${encodeURIComponent(garment.original_image_id)}`);
  } catch (error) {
    return errorNotice(new Error(`${error.message}. Without it, the box cannot be moved.`));
  }
  const others = siblings.filter(({ id, bounding_box: box }) => id !== garment.id && box).map(({ bounding_box: box }) => box);
  const submit = button("Cut out again", () => runAction(submit, place, recut), { class: "primary", disabled: true });
  const editor = new BoxEditor(address, garment.bounding_box, others, () => (submit.disabled = false));
  const place = element("div", { class: "stack" }, editor.element, submit);

  async function recut() {
    const { data, message } = await post(`recut/${garment.id}`, { bounding_box: editor.box });
    Object.assign(garment, data);
    editor.change(data.bounding_box);
    await onRecut();
    announce(message);
  }

  return place;
}

function labelForm(garment) {
  const names = element("datalist", { id: "labels" }, LABELS.map((value) => element("option", { value })));
  const input = element("input", { type: "text", list: "labels", maxlength: 255, value: garment.label ?? "", autocomplete: "off" });
  const submit = element("button", { type: "submit", text: "Save the label" });
  const form = element("form", { class: "stack" }, field("Label", input, "Empty: a whole photo"), names, element("div", { class: "button-row" }, submit));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void runAction(submit, form, async () => {
      const { data, message } = await put(`splitted_images/${garment.id}`, { label: input.value.trim() || null });
      Object.assign(garment, data);
      announce(message);
    });
  });
  return form;
}

function facts({ original_image_id: photo, score }, siblings) {
  return definitions([
    ["Score of the detection", formatPercent(score) || null],
    ["Photo", element("a", { href: `#garments/photo/${encodeURIComponent(photo)}`, text: `${photo}, ${siblings.length} in all` })],
  ]);
}

function deletion(garment, siblings, view) {
  const place = element("div", { class: "stack" });
  const remaining = siblings.length - 1;
  const erase = (control, path, title, text) =>
    runAction(control, place, async () => {
      if (!(await confirmAction(title, `${text} This cannot be undone.`, "Delete it"))) return;
      const { data, message } = await remove(path);
      announce(message);
      view.replaceChildren(sectionHeader("Deleted", message, element("a", { href: "#garments", text: "All garments" })), receiptNotice(data));
    });
  const one = button("Delete this garment…", () =>
    erase(one, `splitted_images/${garment.id}`, "Delete this garment?", remaining ? "The photo and its other garments stay." : "Its photo is deleted with it."),
  );
  const all = button("Delete the photo…", () =>
    erase(all, `splitted_images/by_original/${encodeURIComponent(garment.original_image_id)}`, "Delete the whole photo?", `All of its garments (${siblings.length}) are deleted.`),
  );
  one.className = all.className = "danger";
  place.append(element("div", { class: "button-row" }, one, remaining > 0 ? all : null));
  return place;
}

async function details(garment) {
  const own = await storedDetails(garment.splitted_image_id);
  const isShared = own.image_id === garment.original_image_id;
  const hint = isShared ? "These are the details of the photo. Your changes are stored for this garment alone." : "";
  return element("div", { class: "stack" }, hint && element("p", { class: "hint", text: hint }), detailsForm(garment.splitted_image_id, own));
}

async function storedDetails(name) {
  try {
    return (await post("image_detail", { splitted_image_id: name })).message;
  } catch (error) {
    if (error.status === 404) return {};
    throw error;
  }
}
