/** Searches for what the state of a widget describes, and shows the results. */

import { createRequestId } from "../../shared/lookalike/web/js/client.js";
import { initColor, renderColor } from "./color.js";
import { describeQuery, describeWords } from "./describe.js";
import { Examples } from "./examples.js";
import { Filters, facetFields } from "./filters.js";
import { clearGarments, markSelection, renderGarments, sortByArea } from "./garments.js";
import { MatchList } from "./matches.js";
import { clearError, showStatus } from "./messages.js";
import { OwnBox } from "./ownbox.js";
import { setPhotoSize } from "./photo.js";
import { conditionsKey, createBody, createDetectionRequest, createRequest, hasPositive, hasQuery, isPhotoOnly } from "./request.js";
import { addPage, nextPage, resetPages, showResults } from "./results.js";
import { Tasks } from "./task.js";

/** The search of a widget with its controls. */
export class Search {
  /**
   * @param {import("./context.js").Context} ui
   * @param {(match: import("./state.js").Match, event: MouseEvent) => void} onSelect Called when a match is opened.
   */
  constructor(ui, onSelect) {
    const onChange = () => void this.run();
    this.ui = ui;
    this.tasks = new Tasks(ui);
    this.filters = new Filters(ui, onChange);
    this.examples = new Examples(ui, onChange);
    this.ownBox = new OwnBox(ui, onChange);
    this.matches = new MatchList(ui, { onSelect, onExample: (match, weight) => this.examples.add(match, weight) });
    initColor(ui, onChange);
    this.#connectButtons(onChange);
  }

  #connectButtons(onChange) {
    const { ui } = this;
    ui.byId("cancel").addEventListener("click", () => void this.tasks.cancel());
    for (const id of ["search-again", "error-retry"]) ui.byId(id).addEventListener("click", onChange);
    ui.byId("show-more").addEventListener("click", () => void this.showMore());
    ui.byId("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (ui.byId("words").value.trim() || hasQuery(ui.state)) onChange();
    });
    // The clear button of the field fires no submit event.
    ui.byId("words").addEventListener("search", ({ target }) => {
      if (target.value === "" && ui.state.words !== "") onChange();
    });
  }

  /** Search for what the state describes, or show the first view if that is nothing. A running search is cancelled. */
  async run() {
    const { ui } = this;
    this.#readWords();
    // Garments can only be avoided in a search for something else.
    if (!hasPositive(ui.state)) ui.state.examples = [];
    this.#renderControls();
    if (!hasQuery(ui.state)) return this.#showStart();
    this.#prepare();
    const startTime = performance.now();
    const isNewPhoto = ui.state.photo && !ui.state.groups;
    await this.tasks.run(ui.text(isNewPhoto ? "searching-garments" : "searching"), (task) => this.#send(task), {
      onSuccess: (response) => this.#renderResponse(response, performance.now() - startTime),
      onFailure: () => {
        this.matches.clearPlaceholders();
        // The filters in use stay, so that they can be removed.
        this.filters.render({});
      },
    });
  }

  /** Stop a running search without a message. */
  stop() {
    this.tasks.abandon();
    this.matches.clearPlaceholders();
  }

  /** Show further matches. */
  async showMore() {
    const { ui } = this;
    const send = ({ id, controller }) => this.#sendRequest(createRequest(ui.state, facetFields(ui), nextPage(ui.state)), id, controller);
    await this.tasks.run(ui.text("loading-more"), send, {
      onSuccess: (response) => {
        if (response.groups) ui.state.groups = sortByArea(response.groups);
        ui.state.response.search_id = response.search_id;
        addPage(ui, this.matches, response);
        showStatus(ui, "");
      },
    });
  }

  /** Show everything again, for example in another language. */
  render() {
    const { response, groups } = this.ui.state;
    renderColor(this.ui);
    if (groups) this.#renderGarments();
    this.examples.render();
    if (!response) return;
    this.filters.render(response.facets);
    this.ui.byId("understood").textContent = describeWords(this.ui, response);
    this.matches.render(describeQuery(this.ui));
  }

  #readWords() {
    this.ui.state.words = this.ui.byId("words").value.trim();
  }

  #showStart() {
    this.tasks.abandon();
    this.filters.render({});
    this.ui.byId("start-view").hidden = false;
    this.ui.byId("result-view").hidden = true;
    clearError(this.ui);
    showStatus(this.ui, "");
  }

  #prepare() {
    const { ui } = this;
    Object.assign(ui.state, { response: null, isOutdated: false });
    resetPages(ui.state);
    ui.byId("start-view").hidden = true;
    ui.byId("result-view").hidden = false;
    ui.byId("photo-panel").hidden = ui.state.photo === null;
    ui.byId("add-photo").hidden = ui.state.photo !== null;
    this.matches.showPlaceholders(ui.state.groups || !ui.state.photo ? describeQuery(ui) : "");
  }

  #renderControls() {
    if (!this.ui.state.groups) clearGarments(this.ui);
    renderColor(this.ui);
    this.ownBox.render();
    this.examples.render();
    markSelection(this.ui);
  }

  /** Send the search. The garments of a new photo are detected first, because the other examples add to one of them. */
  async #send(task) {
    const { state } = this.ui;
    if (state.photo && !state.groups && !isPhotoOnly(state)) {
      this.#showGarments(await this.#sendRequest(createDetectionRequest(), task.id, task.controller));
      task.id = createRequestId();
    }
    const request = createRequest(state, facetFields(this.ui));
    this.ui.emit("search", { request });
    return this.#sendRequest(request, task.id, task.controller);
  }

  #sendRequest(request, id, controller) {
    const body = createBody(request, this.ui.state.photo, id);
    return this.ui.request("search", { body, signal: controller.signal });
  }

  #renderResponse(response, milliseconds) {
    const { ui } = this;
    ui.state.response = response;
    if (response.groups) {
      this.#showGarments(response);
      ui.state.groupsKey = conditionsKey(ui.state);
    }
    showStatus(ui, this.#summarize(response.groups, (milliseconds / 1000).toLocaleString(ui.translator.language, { maximumFractionDigits: 2 })));
    ui.byId("understood").textContent = describeWords(ui, response);
    this.filters.render(response.facets);
    showResults(ui, this.matches);
    ui.emit("results", { response });
  }

  #summarize(groups, seconds) {
    if (!groups) return this.ui.text("searched", { seconds });
    const count = groups.filter((group) => group.label !== null).length;
    return count ? this.ui.text("found", { count, seconds }) : this.ui.text("found-none", { seconds });
  }

  #showGarments({ groups, width, height }) {
    setPhotoSize(this.ui, width, height);
    const { state } = this.ui;
    state.groups = sortByArea(groups);
    // The same photo has the same garments again.
    state.selected = Math.min(state.selected, Math.max(0, groups.length - 1));
    state.groupsKey = "";
    this.#renderGarments();
    this.examples.render();
  }

  #renderGarments() {
    renderGarments(this.ui, (index) => this.#selectGarment(index));
    markSelection(this.ui);
  }

  #selectGarment(index) {
    const { ui } = this;
    Object.assign(ui.state, { selected: index, ownBox: null });
    this.#readWords();
    const isKnown = isPhotoOnly(ui.state) && ui.state.response !== null && ui.state.groupsKey === conditionsKey(ui.state);
    if (!isKnown) return void this.run();
    this.#renderControls();
    ui.byId("understood").textContent = "";
    showResults(ui, this.matches);
  }
}
