// SPDX-License-Identifier: Apache-2.0
// The search reads a leading hyphen as "without": who looks for --resume means the word.
document.addEventListener("input", ({target}) => {
  if (target.matches(".md-search__input")) target.value = target.value.replace(/(^|\s)-+/g, "$1");
}, true);
