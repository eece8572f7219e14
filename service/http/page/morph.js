// SPDX-License-Identifier: Apache-2.0
// Changes the elements that are shown into freshly made ones, in place: focus, selection, scroll position and a click
// that has begun stay. Children with data-key are matched by it; what has data-keep belongs to its view.

const HANDLERS = ["onclick", "onsubmit"];
const keyOf = (node) => node.dataset?.key;
const isSame = (old, fresh) => old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh) && old.dataset?.keep === fresh.dataset?.keep;

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) old[name] = fresh[name];
}

function change(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.dataset.keep !== undefined) return;
  attributes(old, fresh);
  morph(old, [...fresh.childNodes]);
}

export function morph(parent, children) {
  const wanted = new Set(children.map(keyOf).filter(Boolean));
  const keyed = new Map([...parent.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let at = parent.firstChild;
  for (const fresh of children) {
    while (at && keyOf(at) && keyOf(at) !== keyOf(fresh) && !wanted.has(keyOf(at))) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    const known = keyOf(fresh) ? keyed.get(keyOf(fresh)) : null;
    if (known && known !== at && isSame(known, fresh)) {
      parent.insertBefore(known, at);
      change(known, fresh);
    } else if (at && isSame(at, fresh)) {
      change(at, fresh);
      at = at.nextSibling;
    } else if (at && !keyOf(at) && !keyOf(fresh)) {
      const gone = at;
      at = at.nextSibling;
      gone.replaceWith(fresh);
    } else {
      if (keyed.size > 0 && keyOf(fresh)) fresh.classList.add("new");
      parent.insertBefore(fresh, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
