/** Short helpers for the document. */

/**
 * Return the element with this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export const byId = (id) => document.getElementById(id);

/**
 * Return a new copy of the first element in a `<template>`.
 * @param {string} id Id of the template.
 * @returns {HTMLElement}
 */
export const cloneTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);
